"""envoy.transport_sockets.tls: TLS on a listener and to an upstream.

Config: envoy.extensions.transport_sockets.tls.v3.{DownstreamTlsContext,UpstreamTlsContext}; docs:
intro/arch_overview/security/ssl.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable, Sequence
from typing import Final

import attrs

from trio_envoy.config.tls import (
    CommonTlsContext,
    DownstreamTlsContext,
    SanType,
    SubjectAltNameMatcher,
    UpstreamTlsContext,
)
from trio_envoy.errors import CloseConnection, ConfigError, UpstreamFailure
from trio_envoy.matching.strings import string_test
from trio_envoy.net.channel import Channel
from trio_envoy.net.filter import TransportContext
from trio_envoy.net.stream_info import UF
from trio_envoy.net.tls import NameCheck, Names, is_sni, note_server_name, wrap
from trio_envoy.net.tls_context import Compiled, compile_tls, make_context
from trio_envoy.net.tls_counts import SecretStats, TlsCounts
from trio_envoy.net.tls_errors import failure_text
from trio_envoy.registry import Category, register
from trio_envoy.runtime import Runtime
from trio_envoy.util.log import logger

_LOG: Final = logger("misc")
_REMOTE: Final = "remote connection failure"
_UNNAMED: Final = hashlib.sha256(b"").hexdigest()[:8]  # of the name that a certificate without SDS has
_KINDS: Final = {
    SanType.DNS: "DNS",
    SanType.URI: "URI",
    SanType.EMAIL: "email",
    SanType.IP_ADDRESS: "IP Address",
}


class DownstreamTls:
    """The server's side (net.filter.Accepting)."""

    def __init__(self, config: DownstreamTlsContext, context: TransportContext) -> None:
        """Read and check everything.

        Raises:
            ConfigError: see compile_tls().
        """
        common = config.common_tls_context
        if common is None:
            raise ConfigError("No TLS certificates found for server context", at=config)
        if common.validation_context is not None and config.require_client_certificate is None:
            _LOG.warning(
                "Using deprecated insecure default of not requiring client cert when a validation context is "
                "configured. This default will be changed in a future version. Please explicitly configure a value for "
                "require_client_certificate."
            )
        compiled = compile_tls(common, server=True, required=bool(config.require_client_certificate))
        self._counts = _count(compiled, context, "server_ssl_socket_factory.")
        self._check_names = _names_check(common, context.services.runtime)
        self._ssl = make_context(compiled.spec)
        self._ssl.sni_callback = note_server_name
        own = compiled.facts.chain if compiled.facts is not None else None
        self._own_uris = () if own is None else tuple(text for kind, text in own.names if kind == "uri")

    async def accept(self, channel: Channel) -> Channel:
        """Shake hands with a client.

        Raises:
            CloseConnection: it failed; info.transport_failure tells why.

        Cancelled: the channel is closed.
        """
        info = channel.info
        try:
            tls = wrap(channel, self._ssl, self._counts)
            await tls.shake_hands(self._check_names)
        except OSError as error:
            raise CloseConnection(info.transport_failure or str(error)) from error
        assert info.tls is not None, "hands are shaken"
        info.tls.local_uris = self._own_uris
        return tls


@attrs.define(eq=False)
class _Resumable:
    """The last session, and where it is good."""

    context: ssl.SSLContext
    server_name: str
    session: ssl.SSLSession


class UpstreamTls:
    """The client's side (net.filter.Connecting)."""

    def __init__(self, config: UpstreamTlsContext, context: TransportContext) -> None:
        """Read and check everything.

        Raises:
            ConfigError: see compile_tls().
        """
        common = config.common_tls_context or CommonTlsContext()
        if "\0" in config.sni:
            raise ConfigError("SNI names containing NULL-byte are not allowed", at=config, field="sni")
        if config.sni and not is_sni(config.sni):
            raise ConfigError(f"{config.sni!r} is not a name for SNI", at=config, field="sni")
        self._config = config
        self._compiled = compile_tls(common, server=False)
        self._counts = _count(self._compiled, context, "client_ssl_socket_factory.")
        self._check_names = _names_check(common, context.services.runtime)
        self._contexts: dict[tuple[str, ...], ssl.SSLContext] = {}
        self._resumable: _Resumable | None = None

    async def connect(
        self,
        channel: Channel,
        *,
        hostname: str = "",
        server_name: str = "",
        verified_name: str = "",
        alpn: Sequence[str] = (),
    ) -> Channel:
        """Shake hands with an upstream; the last session is resumed where it can be.

        Raises:
            UpstreamFailure: flag UF; transport tells why.

        Cancelled: the channel is closed.
        """
        info = channel.info
        config = self._config
        name = server_name or (hostname if config.auto_host_sni else "") or config.sni
        if name and not is_sni(name):  # it came from a request
            channel.close()
            raise UpstreamFailure(_REMOTE, UF, transport=f"invalid SNI: {name!r}", sent=False)
        context = self._context(self._compiled.spec.alpn or tuple(alpn))
        last = self._resumable
        resumed = last.session if last is not None and last.context is context and last.server_name == name else None
        try:
            tls = wrap(channel, context, self._counts, server_name=name or None, session=resumed)
            await tls.shake_hands(self._check(verified_name))
        except OSError as error:
            reason = info.transport_failure or failure_text(error)
            raise UpstreamFailure(_REMOTE, UF, transport=reason, sent=False) from error
        tls.keep_session(lambda session: self._keep(context, name, session))
        return tls

    def _check(self, verified_name: str) -> NameCheck | None:
        """What is asked of the certificate's names; without trusted_ca nothing is asked of a certificate."""
        if not verified_name or not self._compiled.spec.trusted_ca:
            return self._check_names
        configured = self._check_names

        def check(names: Names) -> str:
            return _missing(verified_name, names) or (configured(names) if configured is not None else "")

        return check

    def _keep(self, context: ssl.SSLContext, name: str, session: ssl.SSLSession) -> None:
        self._resumable = _Resumable(context, name, session)

    def _context(self, alpn: tuple[str, ...]) -> ssl.SSLContext:
        context = self._contexts.get(alpn)
        if context is None:
            context = self._contexts[alpn] = make_context(attrs.evolve(self._compiled.spec, alpn=alpn))
        return context


def _count(compiled: Compiled, context: TransportContext, factory: str) -> TlsCounts:
    """What every TLS context has: counters, the time of expiry, a place in /certs."""
    scope = context.scope
    scope.scope(factory).block(SecretStats)
    facts = compiled.facts
    if facts is not None:
        context.services.certificates.append(facts)
        gauges = scope.scope("ssl.certificate.")
        for kind, described in (("cert", facts.chain), ("ca_cert", facts.ca)):
            if described is not None:
                gauge = gauges.gauge(f"unnamed_{kind}_{_UNNAMED}.expiration_unix_time_seconds")
                gauge.value = int(described.expires)
    return TlsCounts(scope)


def _names_check(common: CommonTlsContext, runtime: Runtime) -> NameCheck | None:
    """match_typed_subject_alt_names, compiled: one of the names must pass one of the tests."""
    validation = common.validation_context
    if validation is None or not validation.match_typed_subject_alt_names:
        return None
    tests = tuple(_name_test(matcher, runtime) for matcher in validation.match_typed_subject_alt_names)

    def check(names: Names) -> str:
        if any(kind == wanted and test(text) for kind, text in names for wanted, test in tests):
            return ""
        return f"SAN matcher, certificate SANs are [{_joined(names)}]"

    return check


def _missing(name: str, names: Names) -> str:
    """auto_san_validation: the name must be among those of the certificate."""
    wanted = name.lower()
    for kind, text in names:
        if _is_dns_match(wanted, text.lower()) if kind == "DNS" else text == name:
            return ""
    return f"verify SAN list, expected SANs: [{name}], certificate SANs: [{_joined(names)}]"


def _joined(names: Names) -> str:
    return ", ".join(text for _, text in names)


def _name_test(matcher: SubjectAltNameMatcher, runtime: Runtime) -> tuple[str, Callable[[str], bool]]:
    kind = _KINDS.get(matcher.san_type)
    if kind is None:
        raise ConfigError(f"san_type {matcher.san_type} is not supported here", at=matcher, field="san_type")
    exact = matcher.matcher.exact
    if matcher.san_type is SanType.DNS and exact is not None:
        return kind, lambda pattern: _is_dns_match(exact.lower(), pattern.lower())
    test = string_test(matcher.matcher, runtime)
    return kind, lambda text: test(text.encode())


def _is_dns_match(name: str, pattern: str) -> bool:
    """RFC 6125, as Envoy does: the certificate may have one `*` in its first label, which is no A-label."""
    if name == pattern:
        return True
    label, _, rest = name.partition(".")
    first, _, others = pattern.partition(".")
    if first.count("*") != 1 or not others or rest != others or "xn--" in first:
        return False
    before, _, after = first.partition("*")
    return len(label) > len(before) + len(after) and label.startswith(before) and label.endswith(after)


@register(Category.TRANSPORT_SOCKET_DOWNSTREAM, "envoy.transport_sockets.tls", config=DownstreamTlsContext)
def make_downstream(config: DownstreamTlsContext, context: TransportContext) -> DownstreamTls:
    """For a filter chain.

    Raises:
        ConfigError: see DownstreamTls.
    """
    return DownstreamTls(config, context)


@register(Category.TRANSPORT_SOCKET_UPSTREAM, "envoy.transport_sockets.tls", config=UpstreamTlsContext)
def make_upstream(config: UpstreamTlsContext, context: TransportContext) -> UpstreamTls:
    """For a cluster.

    Raises:
        ConfigError: see UpstreamTls.
    """
    return UpstreamTls(config, context)
