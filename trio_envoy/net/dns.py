"""Resolve names to IP addresses: /etc/hosts, then name servers over UDP and TCP.

Behaves as Envoy's c-ares resolver (source/extensions/network/dns_resolver/cares): families, search list, rounds of
tries with doubled timeouts; "no such name" is an empty answer, not a failure. One difference: when /etc/hosts knows a
name in one of the wanted families, servers are not asked for the other one.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

import attrs
import trio

from trio_envoy.config.cluster import DnsLookupFamily
from trio_envoy.net.address import IpAddress, parse_ip
from trio_envoy.net.dns_files import DNS_PORT, ParsedFile, ResolvConf, candidates, parse_hosts, parse_resolv_conf
from trio_envoy.stats.declare import Counter, Gauge, StatsBlock
from trio_envoy.util.log import logger

if TYPE_CHECKING:
    import dns.rdatatype

    from trio_envoy.net.dns_wire import Answer, Query

_LOG: Final = logger("dns")
_TIMEOUT: Final = 5.0  # s of the first round; CaresDnsResolverConfig.query_timeout_seconds
_TRIES: Final = 4  # rounds; CaresDnsResolverConfig.query_tries
_MAX_QUERIES: Final = 128  # at a time, so that thousands of clusters do not use up the descriptors
_LOCALHOST: Final = ("127.0.0.1", "::1")
_NO_SERVERS: Final = (IpAddress("127.0.0.1", DNS_PORT),)  # resolv.conf(5): none named means this machine

# ares_strerror(), which Envoy shows as %UPSTREAM_TRANSPORT_FAILURE_REASON%
_TIMED_OUT: Final = "Timeout while contacting DNS servers"
_REFUSED_CONNECTION: Final = "Could not contact DNS servers"
_BAD_NAME: Final = "Misformatted domain name"
_RCODES: Final = {
    "FORMERR": "DNS server claims query was misformatted",
    "SERVFAIL": "DNS server returned general failure",
    "NOTIMP": "DNS server does not implement requested operation",
    "REFUSED": "DNS server refused query",
}


class DnsStats(StatsBlock):
    """`dns.cares.*`."""

    get_addr_failure: Counter
    not_found: Counter
    pending_resolutions: Gauge
    reinits: Counter
    resolve_total: Counter
    timeouts: Counter


class DnsFailure(Exception):
    """Nobody answered, or the servers failed; the text is c-ares's."""


@attrs.frozen
class Resolution:
    """What is known about a name.

    Attributes:
        addresses: IP texts; () when there are none.
        ttl: seconds that it may be kept; 0 when nothing is known about that (/etc/hosts).
    """

    addresses: tuple[str, ...]
    ttl: float


class Transport(Protocol):
    """How questions reach a server."""

    async def exchange(
        self, server: IpAddress, question: bytes, read: Callable[[bytes], Answer | None], *, tcp: bool
    ) -> Answer:
        """Send, and return the first message that read() does not take for a foreign one.

        Raises:
            OSError: the server is not there.
            Truncated, ServerFault: from read().
        """


class SocketTransport:
    """Real sockets, a fresh one (and so a fresh port) for each question."""

    async def exchange(
        self, server: IpAddress, question: bytes, read: Callable[[bytes], Answer | None], *, tcp: bool
    ) -> Answer:
        kind = trio.socket.SOCK_STREAM if tcp else trio.socket.SOCK_DGRAM
        with trio.socket.socket(server.family, kind) as sock:
            await sock.connect(server.sockaddr)
            if tcp:
                return await self._over_tcp(sock, question, read)
            await sock.send(question)
            while (answer := read(await sock.recv(65535))) is None:
                pass
            return answer

    async def _over_tcp(
        self, sock: trio.socket.SocketType, question: bytes, read: Callable[[bytes], Answer | None]
    ) -> Answer:
        stream = trio.SocketStream(sock)
        try:
            await stream.send_all(struct.pack(">H", len(question)) + question)
            received = bytearray()
            while data := await stream.receive_some():
                received += data
                size = int.from_bytes(received[:2], "big") + 2
                if len(received) >= max(size, 2):
                    answer = read(bytes(received[2:size]))
                    if answer is not None:
                        return answer
                    break
        except trio.BrokenResourceError as error:
            raise OSError("connection lost") from error
        raise OSError("no answer")


class Resolver:
    """Asks for addresses; one for the process, one more for each cluster with name servers of its own.

    Attributes:
        stats: `dns.cares.`; the server puts the block of its store here.

    Args:
        stats: None counts for nobody.
        servers: name servers instead of resolv.conf's.
        use_tcp: never ask over UDP.
        transport: how questions are sent.
        hosts, resolv_conf: paths.
    """

    def __init__(
        self,
        stats: DnsStats | None = None,
        *,
        servers: Sequence[IpAddress] = (),
        use_tcp: bool = False,
        transport: Transport | None = None,
        hosts: str = "/etc/hosts",
        resolv_conf: str = "/etc/resolv.conf",
    ) -> None:
        self.stats = stats or DnsStats()
        self._servers = tuple(server if server.port else server.with_port(DNS_PORT) for server in servers)
        self._use_tcp = use_tcp
        self._transport = transport or SocketTransport()
        self._hosts = ParsedFile(hosts, parse_hosts)
        self._conf = ParsedFile(resolv_conf, parse_resolv_conf)
        self._limit = trio.CapacityLimiter(_MAX_QUERIES)
        self._turn = 0

    async def resolve(self, name: str, family: DnsLookupFamily) -> Resolution:
        """The addresses of a name in a family; empty when there are none.

        Raises:
            DnsFailure: nobody answered, or the servers failed.
        """
        known = self._without_asking(name)
        addresses = of_family(known, family)
        if addresses or parse_ip(name) is not None:
            await trio.lowlevel.checkpoint()
            return Resolution(addresses, 0.0)
        self.stats.resolve_total += 1
        self.stats.pending_resolutions += 1
        try:
            found = await self._ask_family(name, family)
        except DnsFailure as failure:
            self.stats.get_addr_failure += 1
            _LOG.debug("dns resolution for %s failed: %s", name, failure)
            raise
        finally:
            self.stats.pending_resolutions -= 1
        if found.addresses:
            _LOG.debug("dns resolution for %s completed: %s", name, found)
        else:
            self.stats.not_found += 1
            _LOG.debug("dns resolution without records for %s", name)
        return found

    def _without_asking(self, name: str) -> tuple[str, ...]:
        ip = parse_ip(name)
        if ip is not None:
            return (ip,)
        plain = name.lower().rstrip(".")
        known = self._hosts.get().get(plain)
        if known is None and (plain == "localhost" or plain.endswith(".localhost")):
            return _LOCALHOST  # RFC 6761, section 6.3
        return known or ()

    async def _ask_family(self, name: str, family: DnsLookupFamily) -> Resolution:
        from trio_envoy.net.dns_wire import AAAA, A

        match family:
            case DnsLookupFamily.V4_ONLY:
                return await self._ask(name, A)
            case DnsLookupFamily.V6_ONLY:
                return await self._ask(name, AAAA)
            case DnsLookupFamily.V4_PREFERRED:
                return await self._one_then_other(name, A, AAAA)
            case DnsLookupFamily.ALL:
                return await self._both(name, A, AAAA)
            case _:  # AUTO, whose zero value Envoy also takes for what is unknown
                return await self._one_then_other(name, AAAA, A)

    async def _one_then_other(
        self, name: str, first: dns.rdatatype.RdataType, second: dns.rdatatype.RdataType
    ) -> Resolution:
        try:
            found = await self._ask(name, first)
        except DnsFailure:
            found = Resolution((), 0.0)
        return found if found.addresses else await self._ask(name, second)

    async def _both(self, name: str, first: dns.rdatatype.RdataType, second: dns.rdatatype.RdataType) -> Resolution:
        answers: dict[int, Resolution] = {}
        failures: list[DnsFailure] = []

        async def ask(record: dns.rdatatype.RdataType) -> None:
            try:
                answers[record] = await self._ask(name, record)
            except DnsFailure as failure:
                failures.append(failure)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, first)
            nursery.start_soon(ask, second)
        found = [answer for record in (first, second) if (answer := answers.get(record)) and answer.addresses]
        if not found:
            if failures:
                raise failures[0]
            return Resolution((), 0.0)
        return Resolution(
            tuple(address for answer in found for address in answer.addresses), min(answer.ttl for answer in found)
        )

    async def _ask(self, name: str, record: dns.rdatatype.RdataType) -> Resolution:
        """One record type: each candidate of the search list until one has addresses."""
        reads = self._conf.reads
        conf = self._conf.get()
        if reads and self._conf.reads != reads:
            self.stats.reinits += 1
        for candidate in candidates(name, conf):
            answer = await self._ask_servers(candidate, record, conf)
            if answer.addresses:
                return Resolution(answer.addresses, answer.ttl)
        return Resolution((), 0.0)

    async def _ask_servers(self, name: str, record: dns.rdatatype.RdataType, conf: ResolvConf) -> Answer:
        servers = self._servers or conf.servers or _NO_SERVERS
        if conf.rotate:
            self._turn = (self._turn + 1) % len(servers)
            servers = servers[self._turn :] + servers[: self._turn]
        reason = _REFUSED_CONNECTION
        for attempt in range(conf.attempts or _TRIES):
            timeout = (conf.timeout or _TIMEOUT) * 2**attempt
            for server in servers:
                outcome = await self._try_server(server, name, record, timeout)
                if not isinstance(outcome, str):
                    return outcome
                reason = outcome
        raise DnsFailure(reason)

    async def _try_server(
        self, server: IpAddress, name: str, record: dns.rdatatype.RdataType, seconds: float
    ) -> Answer | str:
        """The answer of one server, or why there is none."""
        from trio_envoy.net.dns_wire import BadName, Query, ServerFault

        async with self._limit:
            with trio.move_on_after(seconds):
                try:
                    query = Query(name, record, secrets.randbits(16))
                    try:
                        return await self._put(server, query)
                    except ServerFault as fault:
                        if str(fault) not in ("FORMERR", "NOTIMP"):
                            raise
                        return await self._put(server, Query(name, record, secrets.randbits(16), edns=False))
                except BadName as error:
                    raise DnsFailure(_BAD_NAME) from error
                except OSError:
                    return _REFUSED_CONNECTION
                except ServerFault as fault:
                    return _RCODES.get(str(fault), str(fault))
        self.stats.timeouts += 1
        return _TIMED_OUT

    async def _put(self, server: IpAddress, query: Query) -> Answer:
        from trio_envoy.net.dns_wire import Truncated

        question = query.to_wire()
        if not self._use_tcp:
            try:
                return await self._transport.exchange(server, question, query.read, tcp=False)
            except Truncated:
                pass
        return await self._transport.exchange(server, question, query.read, tcp=True)


def of_family(addresses: Iterable[str], family: DnsLookupFamily) -> tuple[str, ...]:
    """Those that a lookup family wants; AUTO is IPv6 or else IPv4, V4_PREFERRED the other way round."""
    v4 = tuple(address for address in addresses if ":" not in address)
    v6 = tuple(address for address in addresses if ":" in address)
    match family:
        case DnsLookupFamily.V4_ONLY:
            return v4
        case DnsLookupFamily.V6_ONLY:
            return v6
        case DnsLookupFamily.V4_PREFERRED:
            return v4 or v6
        case DnsLookupFamily.ALL:
            return v4 + v6
        case _:
            return v6 or v4
