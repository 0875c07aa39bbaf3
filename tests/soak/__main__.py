"""Mixed traffic with faults through the proxy for some minutes.

`python -m tests.soak [--seconds N] [--concurrency N] [--seed S] [--bodies GIB]`

The traffic comes in rounds. After each one the proxy is left alone: nothing may be under way then, and it may hold no
more descriptors, and little more memory, than after the first round. Exit code 1 if anything is wrong.
"""

import argparse
import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from random import Random

import trio

from tests import grpc_peer
from tests.commands import serving
from tests.soak import bodies, faults, traffic, upstreams
from tests.soak.certificates import Certificates
from tests.soak.names import Names
from tests.soak.proxy import Ports, Proxy, config
from tests.soak.record import Record, Round

_LONGEST = 60.0  # s of a round
_GROWTH = 24 << 20  # bytes of resident memory of one process, more after the last round than after the first
_SPARE = 4  # descriptors more, which an admin connection of ours may take
_EACH = {
    "http1": (traffic.http1, 4),
    "http2": (traffic.http2, 3),
    "restarts": (traffic.restarted, 2),
    "slow writer": (traffic.slow_writer, 2),
    "slow reader": (traffic.slow_reader, 2),
    "faulty client": (faults.client, 4),
    "faulty upstream": (faults.asks_faulty_upstreams, 3),
}


def main(args: list[str]) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="of traffic (600)")
    parser.add_argument("--concurrency", type=int, default=1, help="workers of the proxy (1)")
    parser.add_argument("--seed", type=int, default=1, help="where the dice begin (1)")
    parser.add_argument("--bodies", type=float, default=0.0, metavar="GIB", help="first bodies of this size (none)")
    chosen = parser.parse_args(args)
    record, rounds = trio.run(run, chosen.seconds, chosen.concurrency, chosen.seed, chosen.bodies)
    print(record.table(rounds))
    return 1 if record.found else 0


async def run(seconds: float, concurrency: int = 1, seed: int = 1, gib: float = 0.0) -> tuple[Record, list[Round]]:
    """Start everything, make the rounds, end everything."""
    record, random = Record(), Random(seed)
    rounds: list[Round] = []
    service = grpc_peer.Service()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        certificates = Certificates(directory)
        ports = Ports(
            grpc=stack.enter_context(grpc_peer.serving(service, threads=32)),
            websocket=stack.enter_context(upstreams.websocket()),
        )
        async with trio.open_nursery() as tasks:
            await _start(tasks, ports, random, record, certificates)
            text = config(ports, str(certificates.key), str(certificates.chain))
            async with serving(directory, text, "--concurrency", concurrency, "-l", "warning") as command:
                proxy = Proxy(command)
                await proxy.find_ports()
                if gib:
                    await bodies.check(record, command.process.pid, proxy.plain, round(gib * 2**30))
                for length in lengths(seconds):
                    await _round(record, proxy, certificates, service, Random(random.random()), length)
                    rounds.append(await proxy.rest(record))
            proxy.read_log(record)
            record.expect("ended", command.process.returncode, 0)
            tasks.cancel_scope.cancel()
    compare(record, rounds, concurrency)
    return record, rounds


def lengths(seconds: float) -> list[float]:
    """The lengths of the rounds: at least two, the first of which warms up."""
    count = max(2, round(seconds / _LONGEST))
    return [seconds / count] * count


def compare(record: Record, rounds: list[Round], concurrency: int) -> None:
    """What it holds after the last round must be about what it held after the first."""
    first, last = rounds[0], rounds[-1]
    if last.descriptors > first.descriptors + _SPARE:
        record.fault("descriptors", f"{first.descriptors} after the first round, {last.descriptors} after the last")
    if last.rss > first.rss + _GROWTH * concurrency:
        record.fault("memory", f"{first.rss >> 20} MiB after the first round, {last.rss >> 20} MiB after the last")


async def _start(tasks: trio.Nursery, ports: Ports, random: Random, record: Record, certificates: Certificates) -> None:
    names = Names(random)
    await tasks.start(names.run)
    ports.names = names.port
    one = partial(upstreams.http1, random)
    ports.http1 = await tasks.start(upstreams.serve, one)
    ports.http2 = await tasks.start(upstreams.serve, upstreams.http2)
    ports.tls = await tasks.start(upstreams.serve, one, certificates.server())
    ports.moving = await tasks.start(partial(upstreams.serve, one, hosts=("127.0.0.1", "127.0.0.2")))
    ports.faulty = await tasks.start(upstreams.serve, partial(faults.upstream1, random))
    ports.faulty2 = await tasks.start(upstreams.serve, partial(faults.upstream2, random))
    ports.bulk = await tasks.start(upstreams.serve, bodies.origin)
    ports.restarting = await tasks.start(upstreams.restarting, random, partial(record.did, "upstream restarts"))


async def _round(
    record: Record, proxy: Proxy, certificates: Certificates, service: grpc_peer.Service, random: Random, length: float
) -> None:
    shared = traffic.Client(
        record,
        random,
        proxy.plain,
        proxy.secure,
        certificates.client(),
        certificates.authority,
        trio.current_time() + length,
    )
    async with trio.open_nursery() as nursery:
        for kind, (one, count) in _EACH.items():
            for _ in range(count):
                nursery.start_soon(traffic.over_and_over, shared, kind, one)
        for _ in range(2):
            nursery.start_soon(trio.to_thread.run_sync, traffic.grpc_calls, shared, length, service)
            nursery.start_soon(trio.to_thread.run_sync, traffic.websocket, shared, length)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
