"""/logging: show and set the levels of the component loggers. Texts and checks as Envoy's logs_handler.cc."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trio_envoy.server.admin.endpoint import Endpoint, Param, Query, Reply
from trio_envoy.server.workers.messages import LogLevels
from trio_envoy.util.log import COMPONENTS, LEVELS, level_of

if TYPE_CHECKING:
    from trio_envoy.server.admin.app import AdminApp
    from trio_envoy.server.server import Server

_USAGE: Final = (
    "usage: /logging?<name>=<level> (change single level)\n"
    "usage: /logging?paths=name1:level1,name2:level2,... (change multiple levels)\n"
    "usage: /logging?level=<level> (change all levels)\n"
    "usage: /logging?group=<group_name>:<level> (change group of loggers)\n"
    f"levels: {' '.join(LEVELS)} \n"
)


class _Refused(Exception):
    """The query can't be; the text says why."""


def endpoints(server: Server, _app: AdminApp) -> tuple[Endpoint, ...]:
    """The endpoint of this file."""

    async def logging(query: Query) -> Reply:
        try:
            changes = _changes(query)
        except _Refused as error:
            return Reply(f"error: {error}\n\n{_USAGE}{_active()}", 400)
        if changes:
            server.tell(LogLevels(changes))
        return Reply(_active())

    return (
        Endpoint(
            "/logging",
            "query/change logging levels",
            logging,
            mutates=True,
            params=(
                Param(
                    "paths",
                    "Change multiple logging levels by setting to "
                    "<logger_name1>:<desired_level1>,<logger_name2>:<desired_level2>.",
                ),
                Param(
                    "group",
                    "Change given logger group to desired level, set to <logger_group_name>:<desired_level>. "
                    "logger_group_name must be a logger name.",
                ),
                Param(
                    "level",
                    "desired logging level, this will change all loggers's level",
                    ("", *LEVELS),
                ),
            ),
            group="Server",
        ),
    )


def _changes(query: Query) -> dict[str, str]:
    """Component -> level; "" stands for all components. All of it is checked before anything changes."""
    params = {name: value for name, value in query.params.items() if value}
    if not params:
        return {}
    if len(params) > 1:
        raise _Refused("invalid number of parameters")
    ((name, value),) = params.items()
    if name == "level":
        return {"": _level(value)}
    if name in {"paths", "group"}:
        changes = {}
        for entry in value.split(","):
            component, _, level = entry.partition(":")
            changes[_component(component)] = _level(level)
        return changes
    return {_component(name): _level(value)}


def _component(name: str) -> str:
    if name not in COMPONENTS:
        raise _Refused("unknown logger name")
    return name


def _level(word: str) -> str:
    if word not in LEVELS:
        raise _Refused("unknown logger level")
    return word


def _active() -> str:
    lines = ["active loggers:", *(f"  {component}: {level_of(component)}" for component in COMPONENTS)]
    return "\n".join(lines) + "\n\n"
