"""The query of a path, and its parameters as Envoy reads them (http/utility.cc, QueryParamsMulti)."""

from __future__ import annotations


def bare_path(path: bytes) -> bytes:
    """The path without query and fragment."""
    if b"?" in path:
        path = path[: path.index(b"?")]
    if b"#" in path:
        path = path[: path.index(b"#")]
    return path


def query_of(path: bytes) -> bytes | None:
    """What follows the first `?`, without it; None when there is no `?`."""
    _, mark, query = path.partition(b"?")
    return query if mark else None


def parameters(path: bytes) -> dict[bytes, bytes]:
    """Name -> first value of all parameters of the query, nothing decoded; `a` and `a=` have the value b""."""
    found: dict[bytes, bytes] = {}
    query = query_of(path)
    if query:
        for pair in query.split(b"&"):
            name, _, value = pair.partition(b"=")
            found.setdefault(name, value)
    return found
