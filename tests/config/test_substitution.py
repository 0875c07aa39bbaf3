from trio_envoy.config.core import DataSource
from trio_envoy.config.substitution import SubstitutionFormatString


def test_a_text_template(structure):
    made = structure(
        "{text_format_source: {inline_string: '%REQ(:PATH)%'}, omit_empty_values: true}", SubstitutionFormatString
    )

    assert made == SubstitutionFormatString(
        text_format_source=DataSource(inline_string="%REQ(:PATH)%"), omit_empty_values=True
    )


def test_a_json_template_keeps_its_shape(structure):
    made = structure("json_format: {a: '%PROTOCOL%', b: {c: [1, x]}}", SubstitutionFormatString)

    assert made.json_format == {"a": "%PROTOCOL%", "b": {"c": [1, "x"]}}


def test_one_template_is_required(faults):
    assert faults("{}", SubstitutionFormatString.__proto__) == [
        "$: one of text_format, json_format, text_format_source is required (format)"
    ]
