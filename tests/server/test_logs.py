"""Where the application log goes, in which format, at which level."""

import logging
from types import SimpleNamespace

import pytest

from trio_envoy.config.bootstrap import ApplicationLogConfig, LogFormat
from trio_envoy.errors import ConfigError
from trio_envoy.server.logs import ApplicationLog, LogLevelError, level_number, set_all, set_one
from trio_envoy.util.log import COMPONENTS, ROOT, level_of, logger


@pytest.fixture(autouse=True)
def _loggers_stay():
    root = logging.getLogger(ROOT)
    handlers, propagate = root.handlers[:], root.propagate
    levels = {component: logger(component).level for component in COMPONENTS}
    yield
    for handler in root.handlers:
        if handler not in handlers and str(getattr(handler.stream, "name", "")).startswith("/"):
            handler.stream.close()
    root.handlers[:], root.propagate = handlers, propagate
    for component, level in levels.items():
        logger(component).setLevel(level)


@pytest.fixture
def stderr(capsys):
    return SimpleNamespace(getvalue=lambda: capsys.readouterr().err)


def a_log(**options):
    return ApplicationLog(**{"pattern": "%n %l %v", "path": "", "level": "info", **options})


def test_it_goes_to_stderr_at_its_level(stderr):
    a_log(level="warning")

    logger("main").info("quiet")
    logger("main").warning("loud")

    assert stderr.getvalue() == "main warning loud\n"


def test_components_have_levels_of_their_own(stderr):
    a_log(level="error", components={"http": "trace", "main": "off"})

    logger("http").debug("seen")
    logger("main").critical("not seen")
    logger("upstream").warning("nor this")

    assert stderr.getvalue() == "http debug seen\n"
    assert (level_of("http"), level_of("main"), level_of("upstream")) == ("trace", "off", "error")


def test_control_characters_are_escaped_when_asked_for(stderr):
    a_log(pattern="%v", escaped=True)

    logger("main").info("a\nb")

    assert stderr.getvalue() == "a\\nb\n"


def test_it_goes_to_a_file_that_is_opened_anew(tmp_path):
    path = tmp_path / "log"
    log = a_log(pattern="%v", path=str(path))
    logger("main").info("one")
    path.rename(tmp_path / "old")

    log.reopen()
    logger("main").info("two")

    assert ((tmp_path / "old").read_text(), path.read_text()) == ("one\n", "two\n")


def test_a_file_that_can_not_be_opened_anew_leaves_the_old_one(tmp_path):
    directory = tmp_path / "logs"
    directory.mkdir()
    log = a_log(path=str(directory / "log"))
    directory.rename(tmp_path / "moved")

    log.reopen()

    assert "cannot reopen log file" in (tmp_path / "moved" / "log").read_text()


def test_stderr_needs_no_opening_anew(stderr):
    log = a_log()

    log.reopen()
    logger("main").info("still")

    assert stderr.getvalue() == "main info still\n"


def test_the_bootstrap_gives_a_format(stderr):
    log = a_log(pattern=None)

    log.configure(ApplicationLogConfig(log_format=LogFormat(text_format="<%v>")))
    logger("main").info("text")
    log.configure(ApplicationLogConfig(log_format=LogFormat(json_format={"m": "%j"})))
    logger("main").info("json")

    assert stderr.getvalue() == '<text>\n{"m":"json"}\n'


@pytest.mark.parametrize("config", [None, ApplicationLogConfig()])
def test_a_bootstrap_that_says_nothing_changes_nothing(stderr, config):
    a_log().configure(config)

    logger("main").info("x")

    assert stderr.getvalue() == "main info x\n"


def test_the_flag_and_the_bootstrap_exclude_each_other():
    config = ApplicationLogConfig(log_format=LogFormat(text_format="%v"))

    with pytest.raises(ConfigError, match="Only one of") as caught:
        a_log().configure(config)

    assert caught.value.at is config


@pytest.mark.parametrize("flag", ["%v", "%_"])
def test_flags_that_would_break_json_are_refused(flag):
    log_format = LogFormat(json_format={"m": flag})

    with pytest.raises(ConfigError, match=f"setJsonLogFormat error: Usage of {flag} is unavailable") as caught:
        a_log(pattern=None).configure(ApplicationLogConfig(log_format=log_format))

    assert (caught.value.at, caught.value.field) == (log_format, ("json_format",))


def test_words_for_levels():
    assert level_number("warn") == level_number("warning") == logging.WARNING
    with pytest.raises(LogLevelError, match="error: invalid log level specified 'loud'"):
        level_number("loud")


def test_one_and_all():
    set_all("error")
    set_one("router", "debug")

    assert (level_of("router"), level_of("main")) == ("debug", "error")
    with pytest.raises(LogLevelError, match="error: invalid component specified 'nobody'"):
        set_one("nobody", "info")
