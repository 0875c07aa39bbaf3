from __future__ import annotations

import pytest

from trio_envoy.config.core import DataSource
from trio_envoy.errors import ConfigError
from trio_envoy.net.data_source import read


def test_each_kind(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"\xff\n")
    monkeypatch.setenv("SOME_NAME", "v")

    assert read(DataSource(filename=str(path))) == b"\xff\n"
    assert read(DataSource(inline_bytes=b"\xff")) == b"\xff"
    assert read(DataSource(inline_string="ä")) == "ä".encode()
    assert read(DataSource(environment_variable="SOME_NAME")) == b"v"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (DataSource(filename="/nonexistent"), "Invalid path: /nonexistent"),
        (DataSource(filename="/"), "Unable to read file: /: Is a directory"),
        (DataSource(environment_variable="NO_SUCH_NAME"), "Environment variable doesn't exist: NO_SUCH_NAME"),
        (DataSource(), "Unexpected DataSource::specifier_case"),
    ],
)
def test_faults(source, text):
    with pytest.raises(ConfigError, match=text) as caught:
        read(source)

    assert caught.value.at is source
