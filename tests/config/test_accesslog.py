import pytest

from trio_envoy.config.accesslog import AccessLog, FileAccessLog, StderrAccessLog, StdoutAccessLog
from trio_envoy.config.core import DataSource
from trio_envoy.config.substitution import SubstitutionFormatString

FILE = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
STREAM = "type.googleapis.com/envoy.extensions.access_loggers.stream.v3"


def test_a_file(structure):
    made = structure(
        f"{{name: a, typed_config: {{'@type': {FILE}, path: /x,"
        " log_format: {text_format_source: {inline_string: z}}}}",
        AccessLog,
    )

    assert made == AccessLog(
        name="a",
        typed_config=FileAccessLog(
            path="/x", log_format=SubstitutionFormatString(text_format_source=DataSource(inline_string="z"))
        ),
    )


@pytest.mark.parametrize("cls", [StdoutAccessLog, StderrAccessLog])
def test_a_stream(structure, cls):
    made = structure(f"{{name: a, typed_config: {{'@type': {STREAM}.{cls.__name__}}}}}", AccessLog)

    assert made.typed_config == cls()


def test_the_old_formats(structure, warnings):
    assert structure("{path: /x, format: '%PROTOCOL%'}", FileAccessLog).format == "%PROTOCOL%"
    assert structure("{path: /x, json_format: {a: b}}", FileAccessLog).json_format == {"a": "b"}
    assert "FileAccessLog.format" in warnings("{path: /x, format: x}", FileAccessLog.__proto__)[0]


def test_a_file_has_a_name(faults):
    assert faults("{}", FileAccessLog.__proto__) == ["$.path: value length must be at least 1 characters"]
