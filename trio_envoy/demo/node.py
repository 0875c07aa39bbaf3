"""One proxy of the demo: `trio-envoy` with a table in place of the network.

The table is what Docker is in the tutorial: names of services, and which loopback port stands for which port of a
container. It is given as JSON; everything behind it is trio-envoy's command line.
"""

from __future__ import annotations

import json
import sys

from trio_envoy.cli import serve
from trio_envoy.demo.parent import end_with_parent
from trio_envoy.net.sockets import Network, NetworkTable
from trio_envoy.server.command_line import parse


def main() -> int:
    """`python -m trio_envoy.demo.node TABLE FLAGS...`."""
    end_with_parent()
    table = json.loads(sys.argv[1])
    network = Network(NetworkTable.of(table["names"], table["binds"], table["connects"]))
    return serve(parse(sys.argv[2:]), network=network)


if __name__ == "__main__":
    raise SystemExit(main())
