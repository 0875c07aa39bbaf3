"""Names that go on as they came; parity requests/preserve_case* has the transcripts."""

import pytest

from trio_envoy.extensions.http.header_formatters.preserve_case import (
    FormatterTypeOnEnvoyHeaders,
    PreserveCaseFormatterConfig,
    make,
)

NAMES = {b"x-my": b"X-mY"}


@pytest.mark.parametrize(
    ("kind", "added"),
    [(FormatterTypeOnEnvoyHeaders.DEFAULT, b"x-new"), (FormatterTypeOnEnvoyHeaders.PROPER_CASE, b"X-New")],
)
def test_names(kind, added):
    spelling = make(PreserveCaseFormatterConfig(formatter_type_on_envoy_headers=kind))(NAMES, b"Fine")

    assert (spelling(b"x-my"), spelling(b"x-new")) == (b"X-mY", added)


@pytest.mark.parametrize(("forward", "reason"), [(False, b""), (True, b"Fine")])
def test_the_reason_is_forwarded_when_that_is_said(forward, reason):
    assert make(PreserveCaseFormatterConfig(forward_reason_phrase=forward))(NAMES, b"Fine").reason == reason
