from __future__ import annotations

import logging

import attrs
import pytest
import trio
import trustme

from tests.fakes import a_services, receive_exactly, receive_some, socket_channel, tcp_pair
from trio_envoy.config.core import DataSource
from trio_envoy.config.matcher import StringMatcher
from trio_envoy.config.tls import (
    CertificateValidationContext,
    CommonTlsContext,
    DownstreamTlsContext,
    SanType,
    SubjectAltNameMatcher,
    TlsCertificate,
    TlsParameters,
    TlsProtocol,
    UpstreamTlsContext,
)
from trio_envoy.errors import CloseConnection, ConfigError, UpstreamFailure
from trio_envoy.extensions.transport_sockets.tls import DownstreamTls, UpstreamTls, make_downstream, make_upstream
from trio_envoy.net.channel import send_all
from trio_envoy.net.filter import TransportContext
from trio_envoy.net.stream_info import UF
from trio_envoy.net.tls_counts import SslStats
from trio_envoy.registry import Category, extension_for
from trio_envoy.stats.declare import Kind

AUTHORITY = trustme.CA()
LEAF = AUTHORITY.issue_cert("a.test", "*.wild.test", "127.0.0.1", "::1", "me@a.test")
CLIENT = AUTHORITY.issue_cert("client.test")


def a_certificate(leaf=LEAF) -> TlsCertificate:
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    return TlsCertificate(
        certificate_chain=DataSource(inline_bytes=chain),
        private_key=DataSource(inline_bytes=leaf.private_key_pem.bytes()),
    )


def trusting(*names: SubjectAltNameMatcher, ca=AUTHORITY) -> CertificateValidationContext:
    return CertificateValidationContext(
        trusted_ca=DataSource(inline_bytes=ca.cert_pem.bytes()), match_typed_subject_alt_names=names
    )


def a_name(kind: SanType, **matcher) -> SubjectAltNameMatcher:
    return SubjectAltNameMatcher(san_type=kind, matcher=StringMatcher(**matcher))


SERVER = DownstreamTlsContext(common_tls_context=CommonTlsContext(tls_certificates=(a_certificate(),)))
TLS13 = TlsParameters(tls_maximum_protocol_version=TlsProtocol.TLSv1_3)


def server_config(**common) -> DownstreamTlsContext:
    return attrs.evolve(SERVER, common_tls_context=attrs.evolve(SERVER.common_tls_context, **common))


def client_config(sni="a.test", *, auto_host_sni=False, **common) -> UpstreamTlsContext:
    return UpstreamTlsContext(sni=sni, auto_host_sni=auto_host_sni, common_tls_context=CommonTlsContext(**common))


class Both:
    """A server's and a client's socket factory in one process."""

    def __init__(self, services, server=SERVER, client=None):
        self.services = services
        self.server = DownstreamTls(server, TransportContext(services, services.stats.scope("listener.l.")))
        self.client = UpstreamTls(
            client or client_config(), TransportContext(services, services.stats.scope("cluster.c."))
        )
        self.refused = self.failure = None

    async def meet(self, **arguments):
        """Shake hands over a new connection; both channels, or None where it failed."""
        left, right = tcp_pair()
        made = {}

        async def accept():
            try:
                made["server"] = await self.server.accept(self.accepted)
            except CloseConnection as error:
                self.refused = error

        async def connect():
            try:
                made["client"] = await self.client.connect(self.connecting, **arguments)
            except UpstreamFailure as failure:
                self.failure = failure

        self.accepted = socket_channel(left, self.services.poller)
        self.connecting = socket_channel(right, self.services.poller)
        async with trio.open_nursery() as both:
            both.start_soon(accept)
            both.start_soon(connect)
        return made.get("server"), made.get("client")

    def ssl(self, prefix):
        return self.services.stats.scope(f"{prefix}ssl.").block(SslStats)


@pytest.fixture
async def services(nursery):
    made = a_services()
    nursery.start_soon(made.poller.run)
    return made


def close(*channels):
    for channel in channels:
        if channel is not None:
            channel.close()


async def test_hands_are_shaken_with_envoys_defaults(services):
    both = Both(services)
    server, client = await both.meet()

    assert server.info.tls.version == client.info.tls.version == "TLSv1.2"
    assert server.info.tls.sni == "a.test"
    assert server.info.server_name == ""  # as in Envoy, only a listener filter tells that
    await send_all(client, b"hello")
    assert await receive_some(server) == b"hello"
    assert both.ssl("listener.l.").handshake == both.ssl("cluster.c.").handshake == 1
    close(server, client)


@pytest.mark.parametrize(
    ("config", "arguments", "sni"),
    [
        (client_config(sni="b.test"), {}, "b.test"),
        (client_config(sni=""), {}, ""),
        (client_config(sni="b.test"), {"hostname": "host.test"}, "b.test"),
        (client_config(sni="b.test", auto_host_sni=True), {"hostname": "host.test"}, "host.test"),
        (client_config(sni="b.test", auto_host_sni=True), {}, "b.test"),
        (client_config(sni="b.test", auto_host_sni=True), {"hostname": "h", "server_name": "rq.test"}, "rq.test"),
    ],
)
async def test_which_name_is_asked_for(services, config, arguments, sni):
    server, client = await Both(services, client=config).meet(**arguments)

    assert server.info.tls.sni == sni
    close(server, client)


@pytest.mark.parametrize(
    ("own", "offered", "alpn"),
    [((), ("h2",), "h2"), (("http/1.1",), ("h2",), "http/1.1"), ((), (), ""), (("x",), (), "")],
)
async def test_which_protocol_is_spoken(services, own, offered, alpn):
    config = client_config(alpn_protocols=own)
    server, client = await Both(services, server_config(alpn_protocols=("h2", "http/1.1")), config).meet(alpn=offered)

    assert server.info.tls.alpn == client.info.tls.alpn == alpn
    close(server, client)


@pytest.mark.parametrize("parameters", [None, TLS13])
async def test_the_last_session_is_resumed_for_the_same_name(services, parameters):
    both = Both(services, client=client_config(tls_params=parameters))

    async def talk(**arguments):
        server, client = await both.meet(**arguments)
        await send_all(server, b"x")
        await receive_exactly(client, 1)
        close(client, server)
        return both.ssl("cluster.c.").session_reused

    assert await talk() == 0
    assert await talk() == 1
    assert await talk(server_name="other.test") == 1
    assert await talk(server_name="other.test") == 2
    assert await talk(alpn=("h2",)) == 2


class TestVerification:
    async def test_nothing_is_verified_by_default(self, services):
        other = DownstreamTlsContext(
            common_tls_context=CommonTlsContext(tls_certificates=(a_certificate(trustme.CA().issue_cert("x")),))
        )
        server, client = await Both(services, other).meet()

        assert client is not None
        close(server, client)

    async def test_a_trusted_upstream(self, services):
        server, client = await Both(services, client=client_config(validation_context=trusting())).meet()

        assert client is not None
        close(server, client)

    async def test_an_upstream_of_another_authority(self, services):
        both = Both(services, client=client_config(validation_context=trusting(ca=trustme.CA())))
        await both.meet()

        assert (both.failure.reason, both.failure.flag, both.failure.sent) == ("remote connection failure", UF, False)
        assert "unable to get local issuer certificate" in both.failure.transport
        assert both.connecting.info.transport_failure == both.failure.transport
        assert both.refused is not None
        stats = both.ssl("cluster.c.")
        assert (stats.fail_verify_error, stats.handshake, stats.connection_error) == (1, 0, 0)

    @pytest.mark.parametrize(
        ("name", "fits"),
        [
            (a_name(SanType.DNS, exact="a.test"), True),
            (a_name(SanType.DNS, exact="A.TEST"), True),
            (a_name(SanType.DNS, exact="x.wild.test"), True),
            (a_name(SanType.DNS, exact="x.y.wild.test"), False),
            (a_name(SanType.DNS, exact="wild.test"), False),
            (a_name(SanType.DNS, prefix="a."), True),
            (a_name(SanType.DNS, suffix=".other"), False),
            (a_name(SanType.DNS, exact="127.0.0.1"), False),
            (a_name(SanType.IP_ADDRESS, exact="127.0.0.1"), True),
            (a_name(SanType.IP_ADDRESS, exact="::1"), True),
            (a_name(SanType.EMAIL, exact="me@a.test"), True),
            (a_name(SanType.URI, contains="a"), False),
        ],
    )
    async def test_names(self, services, name, fits):
        both = Both(services, client=client_config(validation_context=trusting(name)))
        server, client = await both.meet()

        assert (client is not None) is fits
        assert both.ssl("cluster.c.").fail_verify_san == (not fits)
        if not fits:
            assert "SAN matcher, certificate SANs are [a.test, *.wild.test" in both.failure.transport
        close(server, client)

    async def test_one_of_several_names_is_enough(self, services):
        names = a_name(SanType.DNS, exact="no.test"), a_name(SanType.DNS, exact="a.test")
        server, client = await Both(services, client=client_config(validation_context=trusting(*names))).meet()

        assert client is not None
        close(server, client)

    @pytest.mark.parametrize(
        ("name", "names", "wrong"),
        [
            ("a.test", (), ""),
            ("A.test", (), ""),
            ("x.wild.test", (), ""),
            ("127.0.0.1", (), ""),
            ("127.0.0.2", (), "verify SAN list, expected SANs: [127.0.0.2], certificate SANs: [a.test, *.wild.test"),
            ("b.test", (), "verify SAN list, expected SANs: [b.test], certificate SANs: [a.test, *.wild.test"),
            ("a.test", (a_name(SanType.DNS, exact="a.test"),), ""),
            (
                "a.test",
                (a_name(SanType.DNS, exact="b.test"),),
                "SAN matcher, certificate SANs are [a.test, *.wild.test",
            ),
        ],
    )
    async def test_a_name_that_the_request_wants(self, services, name, names, wrong):
        both = Both(services, client=client_config(validation_context=trusting(*names)))
        server, client = await both.meet(verified_name=name)

        assert (client is not None) is (not wrong)
        assert both.ssl("cluster.c.").fail_verify_san == bool(wrong)
        if wrong:
            assert f"verify cert failed: {wrong}" in both.failure.transport
        close(server, client)

    async def test_without_an_authority_no_name_is_wanted(self, services):
        server, client = await Both(services).meet(verified_name="nobody.test")

        assert client is not None
        close(server, client)

    @pytest.mark.parametrize(
        ("required", "leaf", "names", "fits"),
        [
            (True, None, (), False),
            (True, CLIENT, (), True),
            (False, None, (), True),
            (False, trustme.CA().issue_cert("client.test"), (), False),
            (False, CLIENT, (a_name(SanType.DNS, exact="client.test"),), True),
            (False, CLIENT, (a_name(SanType.DNS, exact="other.test"),), False),
            (False, None, (a_name(SanType.DNS, exact="other.test"),), True),
        ],
    )
    async def test_client_certificates(self, services, required, leaf, names, fits):
        config = attrs.evolve(server_config(validation_context=trusting(*names)), require_client_certificate=required)
        client = client_config(tls_certificates=(a_certificate(leaf),) if leaf is not None else ())
        both = Both(services, config, client)
        accepted, connected = await both.meet()

        assert (accepted is not None) is fits
        assert (both.refused is None) is fits
        if not fits:
            assert both.refused.reason == both.accepted.info.transport_failure != ""
        close(accepted, connected)


async def test_a_client_that_leaves_is_refused_quietly(services):
    left, right = tcp_pair()
    right.close()
    tls = DownstreamTls(SERVER, TransportContext(services, services.stats.scope("listener.l.")))

    with pytest.raises(CloseConnection):
        await tls.accept(socket_channel(left, services.poller))
    assert services.stats.scope("listener.l.ssl.").block(SslStats).connection_error == 0


async def test_a_plain_upstream(services):
    left, right = tcp_pair()
    right.send(b"SSH-2.0-something long enough\r\n")
    tls = UpstreamTls(client_config(), TransportContext(services, services.stats.scope("cluster.c.")))

    with pytest.raises(UpstreamFailure) as caught:
        await tls.connect(socket_channel(left, services.poller))
    assert caught.value.transport == (
        "TLS_error:|268435703:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end"
    )
    right.close()


async def test_an_upstream_that_closes_has_no_text(services):
    left, right = tcp_pair()
    right.close()
    tls = UpstreamTls(client_config(), TransportContext(services, services.stats.scope("cluster.c.")))

    with pytest.raises(UpstreamFailure) as caught:
        await tls.connect(socket_channel(left, services.poller))
    assert caught.value.transport in (
        "",
        "TLS_error:|33554536:system library:OPENSSL_internal:Connection reset by peer:TLS_error_end",
    )


async def test_a_name_from_a_request_that_can_not_be_sent(services):
    left, right = tcp_pair()
    channel = socket_channel(left, services.poller)
    tls = UpstreamTls(client_config(), TransportContext(services, services.stats.scope("cluster.c.")))

    with pytest.raises(UpstreamFailure) as caught:
        await tls.connect(channel, server_name="a..b")
    assert caught.value.transport == "invalid SNI: 'a..b'"
    assert channel.closed
    right.close()


async def test_cancelled_it_is_closed(services):
    left, right = tcp_pair()
    tls = UpstreamTls(client_config(), TransportContext(services, services.stats.scope("cluster.c.")))
    with trio.move_on_after(0.01):
        await tls.connect(socket_channel(left, services.poller))

    assert left.fileno() == -1
    right.close()


def test_what_is_told_of_certificates():
    services = a_services()
    Both(services, server_config(validation_context=trusting()), client_config(tls_certificates=(a_certificate(),)))
    gauges = dict(entry for batch in services.stats.select([Kind.GAUGE]) for entry in batch)

    assert [(facts.ca is None, facts.chain is None) for facts in services.certificates] == [
        (False, False),
        (True, False),
    ]
    expires = int(services.certificates[0].chain.expires)
    name = "ssl.certificate.unnamed_cert_e3b0c442.expiration_unix_time_seconds"
    assert gauges[f"listener.l.{name}"] == gauges[f"cluster.c.{name}"] == expires
    assert gauges["listener.l.ssl.certificate.unnamed_ca_cert_e3b0c442.expiration_unix_time_seconds"] > 0
    assert "cluster.c.ssl.certificate.unnamed_ca_cert_e3b0c442.expiration_unix_time_seconds" not in gauges


def test_secrets_that_come_later_are_counted_from_the_start():
    services = a_services()
    Both(services)
    names = {name for batch in services.stats.select([Kind.COUNTER]) for name, _ in batch}

    assert "listener.l.server_ssl_socket_factory.ssl_context_update_by_sds" in names
    assert "cluster.c.client_ssl_socket_factory.upstream_context_secrets_not_ready" in names


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (DownstreamTlsContext(), "No TLS certificates found for server context"),
        (server_config(tls_certificates=()), "No TLS certificates found for server context"),
        (client_config(sni="a..b"), "'a..b' is not a name for SNI"),
        (client_config(sni="a\0b"), "SNI names containing NULL-byte are not allowed"),
        (
            client_config(validation_context=trusting(a_name(SanType.OTHER_NAME, exact="a"))),
            "san_type OTHER_NAME is not supported here",
        ),
    ],
)
def test_faults(config, text):
    services = a_services()
    make = make_downstream if isinstance(config, DownstreamTlsContext) else make_upstream

    with pytest.raises(ConfigError, match=text) as caught:
        make(config, TransportContext(services, services.stats.scope("x.")))
    assert caught.value.at is not None


def test_an_upstream_needs_no_configuration_at_all():
    services = a_services()

    assert make_upstream(UpstreamTlsContext(), TransportContext(services, services.stats.scope("x.")))


@pytest.mark.parametrize(("required", "warned"), [(None, True), (False, False), (True, False)])
def test_the_deprecated_default_is_warned_of(caplog, required, warned):
    services = a_services()
    config = attrs.evolve(server_config(validation_context=trusting()), require_client_certificate=required)
    with caplog.at_level(logging.WARNING):
        make_downstream(config, TransportContext(services, services.stats.scope("x.")))

    assert ("Using deprecated insecure default of not requiring client cert" in caplog.text) is warned


def test_they_are_found_by_their_messages():
    assert extension_for(Category.TRANSPORT_SOCKET_DOWNSTREAM, SERVER).factory is make_downstream
    assert extension_for(Category.TRANSPORT_SOCKET_UPSTREAM, UpstreamTlsContext()).factory is make_upstream
