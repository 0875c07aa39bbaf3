"""What the server says of itself: /server_info, /ready, /memory, /help, /hot_restart_version, /init_dump."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from trio_envoy.config.durations import render as duration
from trio_envoy.server.admin.endpoint import Endpoint, Param, Query, Reply, json_reply
from trio_envoy.server.admin.node import node_tree
from trio_envoy.server.command_line import CommandLine
from trio_envoy.server.lifecycle import State
from trio_envoy.server.log_format import DEFAULT_FORMAT
from trio_envoy.server.version import HOT_RESTART_VERSION, version_text
from trio_envoy.util import clock

if TYPE_CHECKING:
    from trio_envoy.server.admin.app import AdminApp
    from trio_envoy.server.server import Server

_PARENT_SHUTDOWN: Final = 900  # s; never used, there is no hot restart


def endpoints(server: Server, app: AdminApp) -> tuple[Endpoint, ...]:
    """The endpoints of this file."""

    async def server_info(_: Query) -> Reply:
        uptime = f"{int(clock.now() - server.started_wall)}s"
        return json_reply(
            {
                "version": version_text(),
                "state": server.lifecycle.state.name,
                "uptime_current_epoch": uptime,
                "uptime_all_epochs": uptime,
                "hot_restart_version": HOT_RESTART_VERSION,
                "command_line_options": _options(server.command_line),
                "node": node_tree(server, with_defaults=True),
                "hot_restart_initializing": False,
            }
        )

    async def ready(_: Query) -> Reply:
        state = server.lifecycle.state
        return Reply(f"{state.name}\n", 200 if state is State.LIVE else 503)

    async def memory(_: Query) -> Reply:
        resident = str(server.resident_bytes())
        return json_reply(
            {
                "allocated": resident,
                "heap_size": resident,
                "pageheap_unmapped": "0",
                "pageheap_free": "0",
                "total_thread_cache": "0",
                "total_physical_bytes": resident,
            }
        )

    async def show_help(_: Query) -> Reply:
        return Reply(app.help_text())

    async def hot_restart_version(_: Query) -> Reply:
        return Reply(HOT_RESTART_VERSION)

    async def init_dump(_: Query) -> Reply:
        return json_reply({})  # it tells of listeners that wait for resources of xDS; there are none

    return (
        Endpoint("/server_info", "print server version/status information", server_info),
        Endpoint("/ready", "print server state, return 200 if LIVE, otherwise return 503", ready),
        Endpoint("/memory", "print current allocation/heap usage", memory),
        Endpoint("/help", "print out list of admin commands", show_help),
        Endpoint("/hot_restart_version", "print the hot restart compatibility version", hot_restart_version),
        Endpoint(
            "/init_dump",
            "dump current Envoy init manager information (experimental)",
            init_dump,
            params=(
                Param(
                    "mask",
                    "The desired component to dump unready targets. The mask is parsed as a Protobuf::FieldMask. For "
                    "example, get the unready targets of all listeners with /init_dump?mask=listener`",
                ),
            ),
            group="Configuration",
        ),
    )


def _options(line: CommandLine) -> dict[str, Any]:
    components = ",".join(f"{name}:{level}" for name, level in line.component_log_level.items())
    return {
        "base_id": str(line.base_id),
        "concurrency": line.concurrency or 1,
        "config_path": line.config_path,
        "config_yaml": line.config_yaml,
        "allow_unknown_static_fields": line.allow_unknown_static_fields,
        "admin_address_path": line.admin_address_path,
        "local_address_ip_version": line.local_address_ip_version,
        "log_level": line.log_level,
        "component_log_level": components,
        "log_format": DEFAULT_FORMAT if line.log_format is None else line.log_format,
        "log_path": line.log_path,
        "service_cluster": line.service_cluster,
        "service_node": line.service_node,
        "service_zone": line.service_zone,
        "file_flush_interval": duration(line.file_flush_interval_msec * 1_000_000),
        "drain_time": duration(line.drain_time_s * 1_000_000_000),
        "parent_shutdown_time": duration(_PARENT_SHUTDOWN * 1_000_000_000),
        "mode": "Validate" if line.mode == "validate" else "Serve",
        "disable_hot_restart": True,
        "enable_mutex_tracing": False,
        "restart_epoch": 0,
        "cpuset_threads": line.cpuset_threads,
        "reject_unknown_dynamic_fields": line.reject_unknown_dynamic_fields,
        "log_format_escaped": line.log_format_escaped,
        "disabled_extensions": [],
        "ignore_unknown_dynamic_fields": line.ignore_unknown_dynamic_fields,
        "use_dynamic_base_id": line.use_dynamic_base_id,
        "base_id_path": "",
        "drain_strategy": line.drain_strategy.capitalize(),
        "enable_fine_grain_logging": False,
        "socket_path": "",
        "socket_mode": 0,
        "enable_core_dump": False,
        "stats_tag": line.stats_tag,
        "skip_hot_restart_on_no_parent": False,
        "skip_hot_restart_parent_stats": False,
        "skip_deprecated_logs": line.skip_deprecated_logs,
        "file_flush_min_size": line.file_flush_min_size_kb * 1024,
        "log_stacktrace_single_entry": False,
    }
