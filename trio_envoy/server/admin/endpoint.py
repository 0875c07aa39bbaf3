"""What an admin endpoint is: a path, a line of help, a handler that turns a query into a reply.

Each module beside this one gives its endpoints as `endpoints(server)`; app.py collects and serves them; /help and the
home page are drawn from the same rows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final
from urllib.parse import parse_qsl

import attrs

from trio_envoy.config.dump import to_json
from trio_envoy.http.body import Body, BytesBody

TEXT: Final = "text/plain; charset=UTF-8"
JSON: Final = "application/json"
HTML: Final = "text/html; charset=UTF-8"


@attrs.frozen
class Query:
    """One admin request.

    Attributes:
        path: without the query.
        params: of the query string, and of a form body; the last value of a name counts.
        method: "GET", "POST" ...
    """

    path: str
    params: Mapping[str, str] = attrs.Factory(dict)
    method: str = "GET"

    def has(self, name: str) -> bool:
        """A flag: `?usedonly`, whatever its value."""
        return name in self.params


@attrs.frozen
class Reply:
    """What an endpoint answers.

    Attributes:
        text: the body, or an object that streams it.
        status: HTTP status.
        content_type: of the body.
        headers: further fields.
    """

    text: str | Body = ""
    status: int = 200
    content_type: str = TEXT
    headers: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def body(self) -> Body:
        """The body to send; also an empty one is sent chunked, as Envoy does."""
        return BytesBody(self.text.encode()) if isinstance(self.text, str) else self.text


Handler = Callable[[Query], Awaitable[Reply]]


@attrs.frozen
class Param:
    """One parameter of an endpoint, for /help and the form on the home page.

    Attributes:
        name: in the query.
        help: one line.
        choices: the values it may have; empty: any text.
        flag: present or not.
        known: values that there are now, to choose from on the home page.
    """

    name: str
    help: str
    choices: tuple[str, ...] = ()
    flag: bool = False
    known: Callable[[], Iterable[str]] = tuple


@attrs.frozen
class Endpoint:
    """One row of the table.

    Attributes:
        path: exact.
        help: one line, Envoy's.
        handler: answers.
        mutates: needs POST.
        params: what it takes.
        group: heading on the home page.
        form: fields that only the home page's form has.
        warning: what comes of it, for the home page.
    """

    path: str
    help: str
    handler: Handler
    mutates: bool = False
    params: tuple[Param, ...] = ()
    group: str = "Server"
    form: tuple[Param, ...] = ()
    warning: str = ""


def parse_query(target: bytes, method: str, form: bytes = b"") -> Query:
    """The query of a request target, with the fields of a form body."""
    path, _, query = target.decode("latin-1").partition("?")
    params = dict(parse_qsl(query, keep_blank_values=True))
    if form:
        params.update(parse_qsl(form.decode("latin-1"), keep_blank_values=True))
    return Query(path, params, method)


def json_reply(tree: object) -> Reply:
    """A JSON document as Envoy's admin writes it, with a newline at the end."""
    return Reply(to_json(tree) + "\n", content_type=JSON)
