import pytest

from trio_envoy.errors import (
    CloseConnection,
    ConfigError,
    ConfigErrors,
    Fault,
    Faults,
    RemoteProtocolError,
    UpstreamFailure,
    render_path,
)


@pytest.mark.parametrize(
    ("path", "text"),
    [((), "$"), (("a",), "$.a"), (("a", 0, "b", 12), "$.a[0].b[12]"), (("a b", "c.d"), "$.a b.c.d")],
)
def test_paths_are_written_as_people_do(path, text):
    assert render_path(path) == text


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault("bad", ("a",), "x.yaml", 3, 5), "x.yaml:3:5: $.a: bad"),
        (Fault("bad", ("a",), "", 3, 5), "config:3:5: $.a: bad"),
        (Fault("bad", ("a",), "x.yaml"), "$.a: bad"),
    ],
)
def test_faults_say_where(fault, text):
    assert str(fault) == text


def test_all_faults_are_told_in_order():
    errors = ConfigErrors(iter([Fault("one", ("a",)), Fault("two", ("b",))]))

    assert str(errors) == "$.a: one\n$.b: two"
    assert len(errors.faults) == 2


@pytest.mark.parametrize(("field", "path"), [((), ()), ("name", ("name",)), (("a", 0), ("a", 0))])
def test_a_fault_of_an_object_may_be_one_of_its_fields(field, path):
    target = object()
    error = ConfigError("bad", at=target, field=field)

    assert (str(error), error.at, error.field, error.others) == ("bad", target, path, ())


def test_faults_of_parts_are_raised_as_one():
    faults = Faults()
    first, second = ConfigError("one"), ConfigError("two")
    second.others = (ConfigError("three"),)
    for error in (first, second):
        with faults:
            raise error
    with faults:
        pass

    with pytest.raises(ConfigError) as caught:
        faults.raise_all()

    assert caught.value is first
    assert [error.text for error in caught.value.others] == ["two", "three"]
    assert second.others == ()


def test_without_faults_nothing_is_raised():
    Faults().raise_all()


def test_other_exceptions_pass():
    faults = Faults()

    with pytest.raises(ValueError, match="bug"), faults:
        raise ValueError("bug")

    assert faults.errors == []


def test_an_upstream_failure_tells_what_the_transport_said():
    assert str(UpstreamFailure("remote connection failure", 1)) == "remote connection failure"
    failure = UpstreamFailure("remote connection failure", 1, transport="refused", sent=False)
    assert str(failure) == "remote connection failure: refused"
    assert (failure.flag, failure.sent, failure.started) == (1, False, False)


def test_a_protocol_error_tells_what_a_server_answers():
    error = RemoteProtocolError("http1.codec_error")

    assert (str(error), error.details, error.status, error.text) == (
        "http1.codec_error",
        "http1.codec_error",
        400,
        "Bad Request",
    )


def test_a_closed_connection_may_have_a_reason():
    assert CloseConnection("no TLS").reason == "no TLS"
    assert CloseConnection().reason == ""
