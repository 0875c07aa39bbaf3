"""/: the home page: all endpoints by subject, each with a form; nothing is loaded from elsewhere.

Envoy's page does the same with one long table. The page works without scripts; page.js adds the search and shows
answers in place. Mutating endpoints are POST forms, so that following a link never changes anything.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from trio_envoy.server.admin.endpoint import HTML, Endpoint, Param, Query, Reply
from trio_envoy.server.stats import resident_bytes
from trio_envoy.server.version import ENVOY_VERSION, own_version
from trio_envoy.util import clock

if TYPE_CHECKING:
    from trio_envoy.server.admin.app import AdminApp
    from trio_envoy.server.server import Server

_GROUPS: Final = ("Traffic", "Stats", "Configuration", "Server")
_ICON: Final = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' "
    "rx='3' fill='%23ac6199'/%3E%3Cpath d='M4 5h8M4 8h6M4 11h8' stroke='white' stroke-width='1.6'/%3E%3C/svg%3E"
)
_WARNING: Final = (
    "<p class='warning'><strong>Keep this private.</strong> Whoever can open this page can shut the server down and "
    "see what it is configured with: let it listen on loopback only, or limit it with <code>allow_paths</code>.</p>"
)
_SEARCH: Final = (
    "<div class='find' hidden><input id='search' type='text' placeholder='Search endpoints and parameters  ( / )' "
    "aria-label='Search endpoints and parameters' autocomplete='off'></div>\n"
    "<p id='nothing' hidden>No endpoint has these words.</p>\n"
)


def endpoints(server: Server, app: AdminApp) -> tuple[Endpoint, ...]:
    """The endpoint of this file."""

    async def home(_: Query) -> Reply:
        headers = ((b"content-security-policy", _policy()), (b"x-frame-options", b"DENY"))
        return Reply(render(server, app.endpoints), content_type=HTML, headers=headers)

    return (Endpoint("/", "Admin home page", home),)


@functools.cache
def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


@functools.cache
def _policy() -> bytes:
    """Our own style and script, by their hashes, and calls to this server: nothing else runs on the page."""
    hashes = [base64.b64encode(hashlib.sha256(_asset(name).encode()).digest()).decode() for name in _ASSETS]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; connect-src 'self'; "
        "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ).encode()


_ASSETS: Final = ("page.css", "page.js")


def render(server: Server, rows: tuple[Endpoint, ...]) -> str:
    """The whole page."""
    state = server.lifecycle.state.name
    sections = [_section(group, [row for row in rows if row.group == group and row.path != "/"]) for group in _GROUPS]
    return (
        "<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        f"<title>Envoy Admin</title>\n<link rel='icon' href=\"{_ICON}\">\n"
        f"<style>{_asset('page.css')}</style>\n</head>\n<body>\n"
        f"<header class='page'><h1>Envoy Admin</h1> <span id='state' data-state='{state}'>{state}</span>\n"
        f"<p class='who'>{_who(server)}</p>\n<dl>{_facts(server)}</dl>\n{_WARNING}</header>\n"
        f"<main class='page'>\n{_SEARCH}{''.join(sections)}</main>\n"
        f"<script>{_asset('page.js')}</script>\n</body>\n</html>\n"
    )


def _who(server: Server) -> str:
    options = server.services.options
    named = ((" · cluster ", options.service_cluster), (" · node ", options.service_node))
    own = "".join([f"{word}<b>{escape(name)}</b>" for word, name in named if name])
    return f"trio_envoy {escape(own_version())}, which behaves as Envoy {ENVOY_VERSION}{own}"


def _facts(server: Server) -> str:
    found = [cluster.hosts for cluster in server.clusters.clusters.values()]
    healthy, hosts = sum(len(hosts.healthy) for hosts in found), sum(len(hosts.hosts) for hosts in found)
    facts = {
        "Uptime": _duration(int(clock.now() - server.started_wall)),
        "Listeners": str(len(server.listeners.listeners)),
        "Open connections": str(server.listeners.connections()),
        "Clusters": str(len(server.clusters.clusters)),
        "Healthy hosts": f"{healthy} of {hosts}",
        "Memory": f"{resident_bytes() / 1e6:.1f} MB",
    }
    return "".join([f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items()])


def _duration(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    while len(units) > 1 and not units[0][0]:
        del units[0]
    return " ".join([f"{number} {unit}" for number, unit in units[:2]])


def _section(group: str, members: list[Endpoint]) -> str:
    return f"<section><h2>{group}</h2><div class='rows'>\n{''.join(map(_row, members))}</div></section>\n"


def _row(row: Endpoint) -> str:
    words = [row.path, row.help, row.warning, *(param.name for param in row.params)]
    text = escape(" ".join(words).lower(), quote=True)
    short, _, more = row.help.partition(". ")
    cells = f"{_title(row)}<span class='help'>{escape(short)}</span>"
    if row.params or row.form or row.warning or more:
        tag = "<span class='tag'>POST</span>" if row.mutates else ""
        notes = "".join([f"<p>{escape(note)}</p>" for note in (more, row.warning) if note])
        return (
            f"<div class='row' data-text=\"{text}\"><details><summary class='head'>{cells}{tag}</summary>"
            f"{_form(row, notes)}</details></div>\n"
        )
    button = f"<form method='post' action='{row.path[1:]}'><button class='post'>POST</button></form>"
    return (
        f"<div class='row' data-text=\"{text}\"><div class='head'>{cells}{button if row.mutates else ''}</div></div>\n"
    )


def _title(row: Endpoint) -> str:
    if row.mutates:
        return f"<span class='path'>{row.path}</span>"
    return f"<a class='path' href='{row.path[1:]}'>{row.path}</a>"


def _form(row: Endpoint, notes: str) -> str:
    method, look = ("post", " class='post'") if row.mutates else ("get", "")
    fields = "".join([_field(row, param) for param in (*row.params, *row.form)])
    pair = " data-key-value='yes'" if row.form else ""
    return (
        f"<form class='options' method='{method}' action='{row.path[1:]}'{pair}>{notes}{fields}"
        f"<button{look}>{method.upper()}</button></form>"
    )


def _field(row: Endpoint, param: Param) -> str:
    known = ""
    if param.flag:
        control = f"<input type='checkbox' name='{param.name}' value='on'>"
    elif param.choices:
        options = "".join([f"<option>{escape(choice)}</option>" for choice in filter(None, param.choices)])
        options = "<option value=''>default</option>" + options
        control = f"<select name='{param.name}'>{options}</select>"
    else:
        name = escape(f"{row.path}{param.name}", quote=True)
        control = f"<input type='text' name='{param.name}' list='{name}' autocomplete='off'>"
        known = "".join([f'<option value="{escape(value, quote=True)}">' for value in param.known()])
        known = f"<datalist id='{name}'>{known}</datalist>"
    label = param.name.removeprefix(":")
    return f"<label class='field'><b>{label}</b>{control}<small>{escape(param.help)}</small>{known}</label>"
