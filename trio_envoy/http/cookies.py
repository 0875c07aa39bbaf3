"""Cookies of a request as Envoy reads them (http/utility.cc, Utility::parseCookies)."""

from __future__ import annotations

from trio_envoy.http.headers import Headers


def cookie(headers: Headers, name: bytes) -> bytes | None:
    """The value of the first cookie of this name over all `cookie` fields; double quotes around it are dropped.

    What has no `=` is no cookie.
    """
    if b"cookie" not in headers.first:
        return None
    for field in headers.get_all(b"cookie"):
        for pair in field.split(b";"):
            key, equals, value = pair.partition(b"=")
            if equals and key.lstrip(b" ") == name:
                if len(value) >= 2 and value.startswith(b'"') and value.endswith(b'"'):
                    return value[1:-1]
                return value
    return None
