"""Log lines in Envoy's format."""

import json
import logging
import re

import pytest

from trio_envoy.server.log_format import JsonFormatter, TextFormatter


def a_record(message="hello", *args, level=logging.INFO, **fields):
    record = logging.LogRecord("envoy.main", level, "/x/trio_envoy/server/server.py", 42, message, args, None, "run")
    record.created = 1795515820.302
    for name, value in fields.items():
        setattr(record, name, value)
    return record


def test_default_format_is_envoys():
    line = TextFormatter().format(a_record("runtime: %s", "{}"))

    pattern = (
        r"\[\d{4}-\d\d-\d\d \d\d:\d\d:40\.302\]\[\d+\]\[info\]\[main\] \[trio_envoy/server/server.py:42\] runtime: \{\}"
    )
    assert re.fullmatch(pattern, line)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("%v|%j|%_", 'a "b"\n|a \\"b\\"\\n|a "b"\\n'),
        ("%-10l|%10l|%=10l|%3!l", "warning   |   warning| warning  |war"),
        ("%n %L %s %# %! %%", "main W server.py 42 run %"),
        ("%e %f %F %E", "302 302000 302000045 1795515820"),
        ("%q stays", "%q stays"),
        ("%^%v%$", 'a "b"\n'),
    ],
)
def test_flags(pattern, expected):
    assert TextFormatter(pattern).format(a_record('a "b"\n', level=logging.WARNING)) == expected


def test_a_traceback_follows_the_line():
    try:
        raise ValueError("x")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)

    text = TextFormatter("%v").format(a_record(exc_info=info))

    assert text.startswith("hello\nTraceback")
    assert text.endswith("ValueError: x")


def test_json_values_are_patterns_and_stay_valid_json():
    formatter = JsonFormatter({"level": "%l", "message": "%j", "nested": {"n": "%n"}, "one": 1})

    line = formatter.format(a_record('say "x"\n'))

    assert json.loads(line) == {"level": "info", "message": 'say "x"\n', "nested": {"n": "main"}, "one": 1}


@pytest.mark.parametrize("flag", ["%v", "%_"])
def test_json_refuses_flags_that_would_break_it(flag):
    with pytest.raises(ValueError, match=f"Usage of {flag} is unavailable for JSON log formats"):
        JsonFormatter({"m": flag})


@pytest.mark.parametrize(
    ("pattern", "shape"),
    [
        ("%Y-%m-%d %H:%M:%S", r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"),
        ("%z", r"[+-]\d\d:\d\d"),
        ("%T %X %R", r"(\d\d:\d\d:\d\d) \1 \d\d:\d\d"),
        ("%D %x %C", r"(\d\d/\d\d/\d\d) \1 \d\d"),
        ("%t %P", r"\d+ \d+"),
        ("%c", r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}"),
        ("%g:%#|%@", r"(trio_envoy/server/server.py:42)\|\1"),
        ("%i|%o|%u|%O", r"\d+\|-?\d+\|-?\d+\|-?\d+"),
    ],
)
def test_flags_of_time_and_place(pattern, shape):
    assert re.fullmatch(shape, TextFormatter(pattern).format(a_record()))


def test_a_file_of_others_is_told_by_its_name():
    assert TextFormatter("%g").format(a_record(pathname="/usr/lib/other/thing.py", filename="thing.py")) == "thing.py"


def test_a_traceback_in_json_stays_one_line():
    try:
        raise ValueError("x")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    record = a_record("hello %s", "you", exc_info=info)

    line = JsonFormatter({"m": "%j"}).format(record)

    assert "\n" not in line
    assert json.loads(line)["m"].startswith("hello you\nTraceback")
    assert record.getMessage() == "hello you"  # other handlers see it as it was
