import pytest

from trio_envoy.config.core import (
    DataSource,
    HeaderAppendAction,
    HeaderValue,
    HeaderValueOption,
    Locality,
    Node,
    RuntimeFractionalPercent,
)
from trio_envoy.config.types import DenominatorType, FractionalPercent


def test_a_node(structure):
    made = structure("{id: a, cluster: b, metadata: {x: [1, z]}, locality: {region: r, sub_zone: s}}", Node)

    assert made == Node(id="a", cluster="b", metadata={"x": [1, "z"]}, locality=Locality(region="r", sub_zone="s"))


def test_a_header_to_add(structure):
    made = structure("{header: {key: a, value: '%PROTOCOL%'}, append_action: overwrite_if_exists}", HeaderValueOption)

    assert made == HeaderValueOption(
        header=HeaderValue(key="a", value="%PROTOCOL%"), append_action=HeaderAppendAction.OVERWRITE_IF_EXISTS
    )


def test_the_old_switch_for_appending_is_told_from_its_absence(structure, warnings):
    assert structure("{header: {key: a}, append: false}", HeaderValueOption).append is False
    assert structure("{header: {key: a}}", HeaderValueOption).append is None
    assert "HeaderValueOption.append" in warnings("{header: {key: a}, append: false}", HeaderValueOption.__proto__)[0]


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("filename: /x", DataSource(filename="/x")),
        ("inline_string: ''", DataSource(inline_string="")),
        ("inline_bytes: aGk=", DataSource(inline_bytes=b"hi")),
        ("environment_variable: X", DataSource(environment_variable="X")),
    ],
)
def test_a_data_source(structure, text, made):
    assert structure(text, DataSource) == made


def test_a_data_source_comes_from_somewhere(faults):
    assert faults("{}", DataSource.__proto__) == [
        "$: one of filename, inline_bytes, inline_string, environment_variable is required (specifier)"
    ]


def test_a_runtime_fraction(structure, faults):
    made = structure("{default_value: {numerator: 1, denominator: MILLION}, runtime_key: k}", RuntimeFractionalPercent)

    assert made == RuntimeFractionalPercent(
        default_value=FractionalPercent(numerator=1, denominator=DenominatorType.MILLION), runtime_key="k"
    )
    assert faults("{runtime_key: k}", RuntimeFractionalPercent.__proto__) == ["$.default_value: value is required"]
