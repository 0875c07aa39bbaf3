"""The sink that writes lines."""

from tests.messages import a_context, from_yaml
from trio_envoy.accesslog.lines import LineSink, compile_log_format
from trio_envoy.config.substitution import SubstitutionFormatString
from trio_envoy.util.logfile import LogFiles


async def test_a_line_is_an_entry(tmp_path):
    files = LogFiles()
    render = compile_log_format(from_yaml('text_format: "%RESPONSE_CODE%\\n"', SubstitutionFormatString))
    sink = LineSink(files.open(str(tmp_path / "log")), render)

    sink.log(a_context(status=200))
    sink.log(a_context(status=404))
    await files.flush()
    files.close()

    assert (tmp_path / "log").read_bytes() == b"200\n404\n"


def test_without_a_format_it_is_envoys():
    line = compile_log_format(None)(a_context(status=200))

    assert line == b'[2026-11-24T10:20:48.892Z] "- - -" 200 - 0 0 3 - "-" "-" "-" "-" "-"\n'


def test_what_nobody_reads_is_not_made():
    files = LogFiles()
    made = []
    sink = LineSink(files.open("/dev/null"), lambda context: made.append(context) or b"")

    sink.log(a_context())
    files.close()

    assert made == []
