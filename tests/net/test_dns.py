from __future__ import annotations

import socket
import struct
import subprocess
import sys

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
import trio
import trio.testing

from trio_envoy.config.cluster import DnsLookupFamily as Family
from trio_envoy.net.address import IpAddress
from trio_envoy.net.dns import DnsFailure, DnsStats, Resolution, Resolver, of_family

ONE = IpAddress("10.0.0.53", 53)
TWO = IpAddress("10.0.0.54", 53)


def respond(question: bytes, records=(), *, code=dns.rcode.NOERROR, flags=0) -> bytes:
    response = dns.message.make_response(dns.message.from_wire(question))
    response.set_rcode(code)
    response.flags |= flags
    name = response.question[0].name.to_text()
    for ttl, kind, *values in records:
        response.answer.append(dns.rrset.from_text(name, ttl, "IN", kind, *values))
    return response.to_wire()


class FakeServers:
    """Name servers in memory: `zone` maps "name TYPE" to what is answered; every question is noted.

    A zone value: records, an rcode, or an exception to raise; a missing one is NXDOMAIN. `silent` servers never answer.
    """

    def __init__(self, zone, *, silent=(), dead=()) -> None:
        self.zone = zone
        self.silent = silent
        self.dead = dead
        self.asked = []

    async def exchange(self, server, question, read, *, tcp):
        message = dns.message.from_wire(question)
        name = message.question[0].name.to_text(omit_final_dot=True)
        key = f"{name} {dns.rdatatype.to_text(message.question[0].rdtype)}"
        self.asked.append((server, key, tcp, trio.current_time()))
        await trio.lowlevel.checkpoint()
        if server in self.dead:
            raise ConnectionRefusedError
        if server in self.silent:
            await trio.sleep_forever()
        said = self.zone.get(key, dns.rcode.NXDOMAIN)
        if callable(said):
            said = said(message, tcp)
        wire = respond(question, code=said) if isinstance(said, int) else respond(question, said)
        answer = read(wire)
        assert answer is not None
        return answer

    def questions(self):
        return [(str(server.ip), key) for server, key, _, _ in self.asked]


@pytest.fixture
def files(tmp_path):
    hosts = tmp_path / "hosts"
    conf = tmp_path / "resolv.conf"
    hosts.write_text("")
    conf.write_text("nameserver 10.0.0.53\nnameserver 10.0.0.54\n")
    return {"hosts": str(hosts), "resolv_conf": str(conf)}


@pytest.fixture
def stats():
    return DnsStats()


@pytest.mark.parametrize(
    ("family", "questions", "addresses"),
    [
        (Family.V4_ONLY, ["api A"], ("10.0.0.1", "10.0.0.2")),
        (Family.V6_ONLY, ["api AAAA"], ("::5",)),
        (Family.AUTO, ["api AAAA"], ("::5",)),
        (Family.V4_PREFERRED, ["api A"], ("10.0.0.1", "10.0.0.2")),
        (Family.ALL, ["api A", "api AAAA"], ("10.0.0.1", "10.0.0.2", "::5")),
    ],
)
async def test_families(autojump_clock, files, stats, family, questions, addresses):
    servers = FakeServers({"api A": [(60, "A", "10.0.0.1", "10.0.0.2")], "api AAAA": [(30, "AAAA", "::5")]})
    found = await Resolver(stats, transport=servers, **files).resolve("api", family)

    assert tuple(sorted(found.addresses)) == addresses  # the fake shuffles
    assert found.ttl == (60 if found.addresses[0] != "::5" and family is not Family.ALL else 30)
    assert sorted(key for _, key in servers.questions()) == questions
    assert (stats.resolve_total, stats.pending_resolutions, stats.not_found) == (1, 0, 0)


@pytest.mark.parametrize(
    ("family", "first", "second"), [(Family.AUTO, "AAAA", "A"), (Family.V4_PREFERRED, "A", "AAAA")]
)
@pytest.mark.parametrize("said", [dns.rcode.NXDOMAIN, dns.rcode.NOERROR, dns.rcode.SERVFAIL])
async def test_the_other_family_is_asked_when_the_first_gives_nothing(
    autojump_clock, files, stats, family, first, second, said
):
    records = {"A": (60, "A", "10.0.0.1"), "AAAA": (60, "AAAA", "::5")}[second]
    servers = FakeServers({f"api {first}": said, f"api {second}": [records]})
    found = await Resolver(stats, transport=servers, **files).resolve("api", family)

    assert found == Resolution((records[2],), 60.0)
    assert stats.get_addr_failure == 0


async def test_all_takes_what_one_family_gives(autojump_clock, files, stats):
    servers = FakeServers({"api A": [(60, "A", "10.0.0.1")], "api AAAA": dns.rcode.SERVFAIL})

    assert await Resolver(stats, transport=servers, **files).resolve("api", Family.ALL) == Resolution(
        ("10.0.0.1",), 60.0
    )


@pytest.mark.parametrize("family", list(Family))
async def test_a_name_that_is_not_there_is_an_empty_answer(autojump_clock, files, stats, family):
    found = await Resolver(stats, transport=FakeServers({}), **files).resolve("api", family)

    assert found == Resolution((), 0.0)
    assert (stats.not_found, stats.get_addr_failure) == (1, 0)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (dns.rcode.SERVFAIL, "DNS server returned general failure"),
        (dns.rcode.REFUSED, "DNS server refused query"),
        (dns.rcode.NOTAUTH, "NOTAUTH"),
    ],
)
@pytest.mark.parametrize("family", [Family.V4_ONLY, Family.AUTO, Family.ALL])
async def test_servers_that_fail(autojump_clock, files, stats, code, text, family):
    servers = FakeServers({"api A": code, "api AAAA": code})

    with pytest.raises(DnsFailure, match=text):
        await Resolver(stats, transport=servers, **files).resolve("api", family)
    assert (stats.get_addr_failure, stats.pending_resolutions) == (1, 0)


async def test_a_silent_server_is_left_for_the_next(autojump_clock, files, stats):
    servers = FakeServers({"api A": [(60, "A", "10.0.0.1")]}, silent=[ONE])
    start = trio.current_time()
    found = await Resolver(stats, transport=servers, **files).resolve("api", Family.V4_ONLY)

    assert found.addresses == ("10.0.0.1",)
    assert trio.current_time() - start == pytest.approx(5)
    assert stats.timeouts == 1


async def test_a_dead_server_is_left_at_once(autojump_clock, files, stats):
    servers = FakeServers({"api A": [(60, "A", "10.0.0.1")]}, dead=[ONE])
    start = trio.current_time()
    found = await Resolver(stats, transport=servers, **files).resolve("api", Family.V4_ONLY)

    assert found.addresses == ("10.0.0.1",)
    assert trio.current_time() == start


async def test_rounds_double_their_timeout_and_then_it_fails(autojump_clock, files, stats):
    servers = FakeServers({}, silent=[ONE, TWO])
    start = trio.current_time()

    with pytest.raises(DnsFailure, match="Timeout while contacting DNS servers"):
        await Resolver(stats, transport=servers, **files).resolve("api", Family.V4_ONLY)
    assert [round(at - start) for *_, at in servers.asked] == [0, 5, 10, 20, 30, 50, 70, 110]
    assert trio.current_time() - start == pytest.approx(150)
    assert (stats.timeouts, stats.get_addr_failure) == (8, 1)


async def test_nobody_there_fails(autojump_clock, files, stats):
    with pytest.raises(DnsFailure, match="Could not contact DNS servers"):
        await Resolver(stats, transport=FakeServers({}, dead=[ONE, TWO]), **files).resolve("api", Family.V4_ONLY)


async def test_resolv_conf_says_how_long_and_how_often(autojump_clock, files, stats, tmp_path):
    (tmp_path / "resolv.conf").write_text("nameserver 10.0.0.53\noptions timeout:1 attempts:2\n")
    start = trio.current_time()

    with pytest.raises(DnsFailure):
        await Resolver(stats, transport=FakeServers({}, silent=[ONE]), **files).resolve("api", Family.V4_ONLY)
    assert trio.current_time() - start == pytest.approx(3)


async def test_rotate_begins_with_another_server_each_time(autojump_clock, files, stats, tmp_path):
    (tmp_path / "resolv.conf").write_text("nameserver 10.0.0.53\nnameserver 10.0.0.54\noptions rotate\n")
    servers = FakeServers({"api A": [(60, "A", "10.0.0.1")]})
    resolver = Resolver(stats, transport=servers, **files)
    for _ in range(3):
        await resolver.resolve("api", Family.V4_ONLY)

    assert [server for server, *_ in servers.asked] == [TWO, ONE, TWO]


async def test_a_changed_resolv_conf_is_used(autojump_clock, files, stats, tmp_path):
    servers = FakeServers({"api A": [(60, "A", "10.0.0.1")]})
    resolver = Resolver(stats, transport=servers, **files)
    await resolver.resolve("api", Family.V4_ONLY)
    (tmp_path / "resolv.conf").write_text("nameserver 10.0.0.54\n")
    await resolver.resolve("api", Family.V4_ONLY)

    assert [server for server, *_ in servers.asked] == [ONE, TWO]
    assert stats.reinits == 1


async def test_no_resolv_conf_asks_this_machine(autojump_clock, stats, tmp_path):
    servers = FakeServers({"api A": [(60, "A", "10.0.0.1")]})
    missing = str(tmp_path / "missing")
    await Resolver(stats, transport=servers, hosts=missing, resolv_conf=missing).resolve("api", Family.V4_ONLY)

    assert servers.questions() == [("127.0.0.1", "api A")]


async def test_own_servers_are_asked_instead(autojump_clock, files, stats):
    servers = FakeServers({"api A": [(60, "A", "10.0.0.1")]})
    own = Resolver(stats, servers=[IpAddress("10.9.9.9", 0)], use_tcp=True, transport=servers, **files)
    await own.resolve("api", Family.V4_ONLY)

    assert [(server, tcp) for server, _, tcp, _ in servers.asked] == [(IpAddress("10.9.9.9", 53), True)]


async def test_the_search_list(autojump_clock, files, stats, tmp_path):
    (tmp_path / "resolv.conf").write_text("nameserver 10.0.0.53\nsearch a.x b.x\n")
    servers = FakeServers({"api.b.x A": [(60, "A", "10.0.0.1")]})
    found = await Resolver(stats, transport=servers, **files).resolve("api", Family.V4_ONLY)

    assert found.addresses == ("10.0.0.1",)
    assert [key for _, key in servers.questions()] == ["api.a.x A", "api.b.x A"]


async def test_what_does_not_fit_is_asked_over_tcp(autojump_clock, files, stats):
    servers = FakeServers({"api A": [(60, "A", "10.0.0.1")]})
    truncated = []

    async def exchange(server, question, read, *, tcp):
        if not tcp:
            truncated.append(server)
            return read(respond(question, flags=dns.flags.TC))
        return await FakeServers.exchange(servers, server, question, read, tcp=tcp)

    servers.exchange = exchange
    found = await Resolver(stats, transport=servers, **files).resolve("api", Family.V4_ONLY)

    assert found.addresses == ("10.0.0.1",)
    assert truncated == [ONE]
    assert [tcp for _, _, tcp, _ in servers.asked] == [True]


@pytest.mark.parametrize("code", [dns.rcode.FORMERR, dns.rcode.NOTIMP])
async def test_a_server_that_knows_no_edns_is_asked_without(autojump_clock, files, stats, code):
    servers = FakeServers({"api A": lambda message, _: [(60, "A", "10.0.0.1")] if message.edns < 0 else code})
    found = await Resolver(stats, transport=servers, **files).resolve("api", Family.V4_ONLY)

    assert found.addresses == ("10.0.0.1",)
    assert len(servers.asked) == 2


class TestWithoutAsking:
    @pytest.mark.parametrize(
        ("name", "family", "addresses"),
        [
            ("10.0.0.1", Family.AUTO, ("10.0.0.1",)),
            ("0::1", Family.ALL, ("::1",)),
            ("10.0.0.1", Family.V6_ONLY, ()),
            ("LocalHost", Family.V4_ONLY, ("127.0.0.1",)),
            ("a.localhost.", Family.AUTO, ("::1",)),
            ("db", Family.AUTO, ("10.1.1.1",)),
            ("DB.", Family.V4_ONLY, ("10.1.1.1",)),
        ],
    )
    async def test_it_is_known(self, autojump_clock, files, stats, tmp_path, name, family, addresses):
        (tmp_path / "hosts").write_text("10.1.1.1 db\n")
        servers = FakeServers({})
        found = await Resolver(stats, transport=servers, **files).resolve(name, family)

        assert found == Resolution(addresses, 0.0)
        assert servers.asked == []
        assert stats.resolve_total == 0

    async def test_a_family_that_hosts_does_not_have_is_asked_for(self, autojump_clock, files, stats, tmp_path):
        (tmp_path / "hosts").write_text("10.1.1.1 db\n")
        servers = FakeServers({"db AAAA": [(60, "AAAA", "::5")]})
        found = await Resolver(stats, transport=servers, **files).resolve("db", Family.V6_ONLY)

        assert found.addresses == ("::5",)

    async def test_a_bad_name_fails(self, autojump_clock, files, stats):
        with pytest.raises(DnsFailure, match="Misformatted domain name"):
            await Resolver(stats, transport=FakeServers({}), **files).resolve("a..b", Family.V4_ONLY)


async def test_cancelled_the_gauge_is_back_at_zero(autojump_clock, files, stats):
    resolver = Resolver(stats, transport=FakeServers({}, silent=[ONE, TWO]), **files)
    with trio.move_on_after(1):
        await resolver.resolve("api", Family.ALL)

    assert stats.pending_resolutions == 0


async def test_only_so_many_questions_are_out_at_a_time(autojump_clock, files, stats):
    servers = FakeServers({}, silent=[ONE])
    resolver = Resolver(stats, transport=servers, **files)
    with trio.move_on_after(1):
        async with trio.open_nursery() as nursery:
            for index in range(300):
                nursery.start_soon(resolver.resolve, f"n{index}", Family.V4_ONLY)

    assert len(servers.asked) == 128


class TestSockets:
    """A real name server on loopback."""

    @pytest.fixture
    async def server(self, nursery):
        """Answers over UDP after two foreign messages; "big." is truncated; and over TCP, split. "drop." is cut."""
        udp, listeners = await self.one_port()
        address = IpAddress(*udp.getsockname())

        def answer(question: bytes) -> bytes:
            return respond(question, [(60, "A", "10.0.0.1")])

        async def serve_udp():
            with udp:
                await answer_datagrams()

        async def answer_datagrams():
            while True:
                question, peer = await udp.recvfrom(65535)
                await udp.sendto(b"garbage", peer)
                await udp.sendto(bytes(2) + answer(question)[2:], peer)
                big = b"\x03big" in question
                await udp.sendto(respond(question, flags=dns.flags.TC) if big else answer(question), peer)

        async def serve_tcp(stream):
            data = bytearray()
            while len(data) < 2 or len(data) < int.from_bytes(data[:2], "big") + 2:
                data += await stream.receive_some()
            wire = answer(bytes(data[2:]))
            wire = len(wire).to_bytes(2, "big") + wire
            if b"\x05reset" in data:
                stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif b"\x04drop" not in data:
                for part in (wire[:1], wire[1:20], wire[20:]):
                    await stream.send_all(part)
                    await trio.testing.wait_all_tasks_blocked()
            await stream.aclose()

        nursery.start_soon(serve_udp)
        nursery.start_soon(trio.serve_listeners, serve_tcp, listeners)
        return address

    async def one_port(self):
        """A UDP and a TCP socket on the same free port."""
        for _ in range(20):
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            udp = trio.socket.socket(type=trio.socket.SOCK_DGRAM)
            try:
                await udp.bind(listeners[0].socket.getsockname())
            except OSError:
                udp.close()
                await listeners[0].aclose()
            else:
                return udp, listeners
        raise AssertionError("no free port")

    @pytest.mark.parametrize("use_tcp", [False, True])
    @pytest.mark.parametrize("name", ["api", "big"])
    async def test_udp_and_tcp(self, files, stats, server, name, use_tcp):
        resolver = Resolver(stats, servers=[server], use_tcp=use_tcp, **files)

        assert await resolver.resolve(name, Family.V4_ONLY) == Resolution(("10.0.0.1",), 60.0)

    @pytest.mark.parametrize("name", ["drop", "reset"])
    async def test_a_connection_that_is_cut_is_no_answer(self, files, stats, server, name):
        with pytest.raises(DnsFailure, match="Could not contact"):
            await Resolver(stats, servers=[server], use_tcp=True, **files).resolve(name, Family.V4_ONLY)

    @pytest.mark.parametrize("use_tcp", [False, True])
    async def test_nobody_listens(self, files, stats, use_tcp):
        with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as free:
            await free.bind(("127.0.0.1", 0))
            address = IpAddress(*free.getsockname())

        with pytest.raises(DnsFailure, match="Could not contact"):
            await Resolver(stats, servers=[address], use_tcp=use_tcp, **files).resolve("api", Family.V4_ONLY)


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        (Family.AUTO, ("::1",)),
        (Family.V4_ONLY, ("1.1.1.1",)),
        (Family.V6_ONLY, ("::1",)),
        (Family.V4_PREFERRED, ("1.1.1.1",)),
        (Family.ALL, ("1.1.1.1", "::1")),
    ],
)
def test_of_family(family, expected):
    assert of_family(["::1", "1.1.1.1"], family) == expected


def test_dnspython_is_not_loaded_before_it_is_needed():
    code = "import sys, trio_envoy.net.sockets; sys.exit('dns' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
