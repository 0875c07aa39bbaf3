"""What several of the tests beside this file need."""

import textwrap

from trio_envoy.config.loader import load
from trio_envoy.registry import config_class
from trio_envoy.server.command_line import CommandLine
from trio_envoy.server.server import Server


def compiled(config, **options):
    """A server that has not been started."""
    return Server(load("", textwrap.dedent(config), resolve=config_class), CommandLine(**options))
