"""/: the home page: all endpoints by subject, each with a form; nothing is loaded from elsewhere.

Envoy's page does the same with one long table. The page works without scripts; one small script adds the search box.
Mutating endpoints are POST forms, so that following a link never changes anything.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from trio_envoy.server.admin.endpoint import HTML, Endpoint, Param, Query, Reply
from trio_envoy.server.version import ENVOY_VERSION, own_version
from trio_envoy.util import clock

if TYPE_CHECKING:
    from trio_envoy.server.admin.app import AdminApp
    from trio_envoy.server.server import Server

_GROUPS: Final = ("Server", "Stats", "Clusters", "Listeners", "Config", "Runtime")
_POLICY: Final = (
    b"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; form-action 'self'; "
    b"base-uri 'none'; frame-ancestors 'none'"
)
_ICON: Final = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' "
    "rx='3' fill='%23ac6199'/%3E%3Cpath d='M4 5h8M4 8h6M4 11h8' stroke='white' stroke-width='1.6'/%3E%3C/svg%3E"
)
_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1d2430; --dim: #5b6675; --paper: #f6f7f9; --card: #fff; --line: #dfe3e8;
  --accent: #8a3f78; --danger: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --dim: #9aa5b4; --paper: #14181f; --card: #1c222b;
  --line: #2d3642; --accent: #d79ac6; --danger: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0; font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
header, main { max-width: 60rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 1.5rem; display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; align-items: baseline; }
h1 { font-size: 1.4rem; margin: 0; }
h2 { font-size: 1rem; margin: 1.6rem 0 .5rem; color: var(--dim); text-transform: uppercase; letter-spacing: .06em; }
.state { padding: .1rem .6rem; border-radius: 1rem; font-weight: 600; color: #fff; background: #b26a00; }
.state.LIVE { background: #2e7d32; }
.facts { color: var(--dim); }
.warning { margin: 1rem 0 0; padding: .6rem .9rem; border-left: 4px solid var(--danger); background: var(--card); }
#search { width: 100%; margin: 1rem 0 0; padding: .55rem .8rem; font: inherit; color: inherit; background: var(--card);
  border: 1px solid var(--line); border-radius: .5rem; }
details { background: var(--card); border: 1px solid var(--line); margin-bottom: -1px; }
details:first-of-type { border-radius: .5rem .5rem 0 0; } details:last-of-type { border-radius: 0 0 .5rem .5rem; }
summary, .plain { display: flex; flex-wrap: wrap; gap: .2rem .8rem; padding: .45rem .8rem; align-items: baseline; }
.plain { background: var(--card); border: 1px solid var(--line); margin-bottom: -1px; }
summary { cursor: pointer; }
.path { font: 600 14px ui-monospace, monospace; min-width: 13rem; color: var(--accent); text-decoration: none; }
a.path:hover { text-decoration: underline; }
.help { color: var(--dim); flex: 1 1 20rem; }
form { margin: 0; padding: .2rem .8rem .8rem; display: grid; gap: .5rem; }
.plain form { padding: 0; display: block; }
label { display: grid; grid-template-columns: 13rem 1fr; gap: .1rem .8rem; align-items: center; }
label small { grid-column: 2; color: var(--dim); }
input[type=text], select { font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--line);
  border-radius: .3rem; padding: .25rem .4rem; width: 100%; max-width: 26rem; }
input[type=checkbox] { justify-self: start; }
button { font: inherit; padding: .25rem .9rem; border-radius: .4rem; border: 1px solid var(--line); cursor: pointer;
  color: inherit; background: var(--paper); justify-self: start; }
button.post { color: var(--danger); border-color: currentColor; }
code { font-family: ui-monospace, monospace; }
[hidden] { display: none !important; }
@media (max-width: 40rem) { label { grid-template-columns: 1fr; } label small { grid-column: 1; } }
"""
_SCRIPT: Final = """
const box = document.getElementById('search');
box.hidden = false;
box.addEventListener('input', () => {
  const words = box.value.toLowerCase().split(/\\s+/).filter(Boolean);
  for (const group of document.querySelectorAll('section')) {
    let shown = 0;
    for (const row of group.querySelectorAll('[data-text]')) {
      row.hidden = !words.every(word => row.dataset.text.includes(word));
      shown += !row.hidden;
    }
    group.hidden = !shown;
  }
});
box.focus();
"""


def endpoints(server: Server, app: AdminApp) -> tuple[Endpoint, ...]:
    """The endpoint of this file."""

    async def home(_: Query) -> Reply:
        headers = ((b"content-security-policy", _POLICY), (b"x-frame-options", b"DENY"))
        return Reply(render(server, app.endpoints), content_type=HTML, headers=headers)

    return (Endpoint("/", "Admin home page", home),)


def render(server: Server, rows: tuple[Endpoint, ...]) -> str:
    """The whole page."""
    sections = []
    for group in _GROUPS:
        members = [row for row in rows if row.group == group and row.path != "/"]
        if members:
            sections.append(f"<section><h2>{group}</h2>{''.join([_row(row) for row in members])}</section>")
    state = server.lifecycle.state.name
    return (
        "<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        f"<title>Envoy Admin</title>\n<link rel='icon' href=\"{_ICON}\">\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<header><h1>Envoy Admin</h1><span class='state {state}'>{state}</span>"
        f"<span class='facts'>{_facts(server)}</span></header>\n<main>\n"
        "<p class='warning'>Who can open this page can shut the server down and see private data. Keep it on loopback, "
        "or limit it with <code>allow_paths</code>.</p>\n"
        "<input id='search' type='text' placeholder='Search endpoints and parameters' aria-label='Search' hidden>\n"
        f"{''.join(sections)}\n</main>\n<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )


def _facts(server: Server) -> str:
    uptime = int(clock.now() - server.started_wall)
    hours, rest = divmod(uptime, 3600)
    up = f"{hours}h {rest // 60}m" if hours else f"{rest // 60}m {rest % 60}s"
    counts = (
        f"{len(server.listeners.listeners)} listener{'s' * (len(server.listeners.listeners) != 1)}",
        f"{len(server.clusters.clusters)} cluster{'s' * (len(server.clusters.clusters) != 1)}",
    )
    name = server.services.options.service_node
    node = f" · node {escape(name)}" if name else ""
    return f"trio_envoy {own_version()}, as Envoy {ENVOY_VERSION} · up {up} · {' · '.join(counts)}{node}"


def _row(row: Endpoint) -> str:
    text = escape(" ".join([row.path, row.help, *(param.name for param in row.params)]).lower(), quote=True)
    help_text = f"<span class='help'>{escape(row.help)}</span>"
    if not row.params and row.mutates:
        button = f"<form method='post' action='{row.path.lstrip('/')}'><button class='post'>POST</button></form>"
        return f"<div class='plain' data-text=\"{text}\"><span class='path'>{row.path}</span>{help_text}{button}</div>"
    if not row.params:
        return f"<div class='plain' data-text=\"{text}\">{_link(row)}{help_text}</div>"
    title = f"<span class='path'>{row.path}</span>" if row.mutates else _link(row)
    return f'<details data-text="{text}"><summary>{title}{help_text}</summary>{_form(row)}</details>'


def _link(row: Endpoint) -> str:
    return f"<a class='path' href='{row.path.lstrip('/')}'>{row.path}</a>"


def _form(row: Endpoint) -> str:
    method, look = ("post", "class='post'") if row.mutates else ("get", "")
    fields = "".join([_field(param) for param in row.params])
    action = row.path.lstrip("/")
    return f"<form method='{method}' action='{action}'>{fields}<button {look}>{method.upper()}</button></form>"


def _field(param: Param) -> str:
    if param.flag:
        control = f"<input type='checkbox' name='{param.name}' value='on'>"
    elif param.choices:
        options = "".join([f"<option>{escape(choice)}</option>" for choice in ("", *filter(None, param.choices))])
        control = f"<select name='{param.name}'>{options}</select>"
    else:
        control = f"<input type='text' name='{param.name}'>"
    return f"<label>{param.name} {control}<small>{escape(param.help)}</small></label>"
