import pytest

from trio_envoy.config.core import DataSource
from trio_envoy.config.matcher import StringMatcher
from trio_envoy.config.tls import (
    DownstreamTlsContext,
    SanType,
    SubjectAltNameMatcher,
    TlsCertificate,
    TlsProtocol,
    UpstreamTlsContext,
)


def test_to_an_upstream(structure):
    made = structure(
        """
        sni: a.com
        common_tls_context:
          tls_params: {tls_minimum_protocol_version: TLSv1_2, tls_maximum_protocol_version: tlsv1_3}
          validation_context:
            trusted_ca: {filename: /ca.pem}
            match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: a.com}}]
          alpn_protocols: [h2, http/1.1]
        """,
        UpstreamTlsContext,
    )
    common = made.common_tls_context

    assert made.sni == "a.com"
    assert common.tls_params.tls_minimum_protocol_version is TlsProtocol.TLSv1_2
    assert common.tls_params.tls_maximum_protocol_version is TlsProtocol.TLSv1_3
    assert common.validation_context.trusted_ca == DataSource(filename="/ca.pem")
    assert common.validation_context.match_typed_subject_alt_names == (
        SubjectAltNameMatcher(san_type=SanType.DNS, matcher=StringMatcher(exact="a.com")),
    )
    assert common.alpn_protocols == ("h2", "http/1.1")


def test_to_a_client(structure):
    made = structure(
        "{require_client_certificate: true, common_tls_context: {tls_certificates:"
        " {certificate_chain: {filename: /c}, private_key: {inline_string: k}}}}",
        DownstreamTlsContext,
    )

    assert made.require_client_certificate is True
    assert made.common_tls_context.tls_certificates == (
        TlsCertificate(certificate_chain=DataSource(filename="/c"), private_key=DataSource(inline_string="k")),
    )


def test_an_empty_context_is_tls_without_checks(structure):
    assert structure("{}", UpstreamTlsContext) == UpstreamTlsContext()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"sni: {'x' * 256}", "$.sni: value length must be at most 255 bytes, got 256"),
        (
            "common_tls_context: {validation_context: {match_typed_subject_alt_names: [{}]}}",
            "$.common_tls_context.validation_context.match_typed_subject_alt_names[0].matcher: value is required",
        ),
    ],
)
def test_what_a_context_may_not_be(faults, text, fault):
    assert fault in faults(text, UpstreamTlsContext.__proto__)
