import pytest

from trio_envoy.config.runtime_layers import AdminLayer, DiskLayer, LayeredRuntime, RuntimeLayer


def test_layers_in_order(structure):
    made = structure(
        """
        layers:
        - {name: a, static_layer: {x.y: 5, z: {numerator: 1}}}
        - {name: b, disk_layer: {symlink_root: /r, subdirectory: s, append_service_cluster: true}}
        - {name: c, admin_layer: {}}
        """,
        LayeredRuntime,
    )

    assert made.layers == (
        RuntimeLayer(name="a", static_layer={"x.y": 5, "z": {"numerator": 1}}),
        RuntimeLayer(name="b", disk_layer=DiskLayer(symlink_root="/r", subdirectory="s", append_service_cluster=True)),
        RuntimeLayer(name="c", admin_layer=AdminLayer()),
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("layers: [{admin_layer: {}}]", "$.layers[0].name: value length must be at least 1 characters"),
        (
            "layers: [{name: a}]",
            "$.layers[0]: one of static_layer, disk_layer, admin_layer, rtds_layer is required (layer_specifier)",
        ),
    ],
)
def test_a_layer_has_a_name_and_a_kind(faults, text, fault):
    assert faults(text, LayeredRuntime.__proto__) == [fault]
