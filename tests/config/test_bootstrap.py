import pytest

from trio_envoy.config.bootstrap import Admin, ApplicationLogConfig, Bootstrap, LogFormat, StaticResources


def test_an_empty_one(structure):
    assert structure("{}", Bootstrap) == Bootstrap()
    assert structure("static_resources: {}", Bootstrap).static_resources == StaticResources()


def test_the_admin_interface(structure):
    made = structure(
        "{access_log_path: /dev/null, address: {socket_address: {address: 127.0.0.1, port_value: 9901}},"
        " allow_paths: {exact: /stats}}",
        Admin,
    )

    assert made.access_log_path == "/dev/null"
    assert made.address.socket_address.port_value == 9901
    assert made.allow_paths[0].exact == "/stats"


def test_the_application_log(structure):
    made = structure("application_log_config: {log_format: {json_format: {Level: '%l'}}}", Bootstrap)

    assert made.application_log_config == ApplicationLogConfig(log_format=LogFormat(json_format={"Level": "%l"}))


def test_flushing_of_statistics(structure):
    assert structure("stats_flush_interval: 1.5s", Bootstrap).stats_flush_interval == 1.5
    assert structure("stats_flush_on_admin: true", Bootstrap).stats_flush_on_admin is True


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("stats_flush_interval: 0s", "$.stats_flush_interval: value must be inside range [0.001s, 300s), got 0s"),
        (
            "application_log_config: {log_format: {}}",
            "$.application_log_config.log_format: one of json_format, text_format is required (log_format)",
        ),
    ],
)
def test_what_it_may_not_be(faults, text, fault):
    assert faults(text, Bootstrap.__proto__) == [fault]
