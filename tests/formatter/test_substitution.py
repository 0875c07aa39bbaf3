"""SubstitutionFormatString."""

import pytest

from tests.messages import a_context, from_yaml
from trio_envoy.config.substitution import SubstitutionFormatString
from trio_envoy.errors import ConfigError
from trio_envoy.formatter.substitution import compile_substitution


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ("text_format: '%REQ(X)% %RESPONSE_CODE%'", b"- 204"),
        ("text_format_source: {inline_string: '%REQ(X)%|'}\nomit_empty_values: true", b"|"),
        ("text_format_source: {inline_bytes: Yv8K}", b"b\xff\n"),
        ("json_format: {b: '%RESPONSE_CODE%', a: '%REQ(X)%'}", b'{"a":null,"b":204}\n'),
        ("json_format: {b: '%RESPONSE_CODE%', a: '%REQ(X)%'}\nomit_empty_values: true", b'{"b":204}\n'),
    ],
)
def test_templates(config, line):
    render = compile_substitution(from_yaml(config, SubstitutionFormatString))

    assert render(a_context(status=204)) == line


def test_a_template_may_be_a_file(tmp_path):
    (tmp_path / "format").write_text("%PROTOCOL% é\n")
    config = from_yaml(f"text_format_source: {{filename: {tmp_path / 'format'}}}", SubstitutionFormatString)

    assert compile_substitution(config)(a_context(protocol="HTTP/2")) == "HTTP/2 é\n".encode()


@pytest.mark.parametrize("field", ["text_format", "json_format", "text_format_source"])
def test_a_fault_names_its_field(field):
    template = {"text_format": "'%X%'", "json_format": "{a: '%X%'}", "text_format_source": "{inline_string: '%X%'}"}
    config = from_yaml(f"{field}: {template[field]}", SubstitutionFormatString)

    with pytest.raises(ConfigError, match="Not supported field in StreamInfo: X") as caught:
        compile_substitution(config)

    assert (caught.value.at, caught.value.field) == (config, (field,))


def test_no_template_is_refused():
    with pytest.raises(ConfigError, match="is required"):
        compile_substitution(SubstitutionFormatString())
