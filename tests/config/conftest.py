"""What the tests of the configuration share: a YAML text to a checked tree, to an object, to its faults."""

import pytest

from trio_envoy.config import accesslog, hcm, tls, upstreams
from trio_envoy.config.check import check
from trio_envoy.config.converter import ConfigConverter
from trio_envoy.config.document import parse
from trio_envoy.config.findings import Findings
from trio_envoy.errors import ConfigErrors, render_path

EXTENSIONS = {
    cls.__proto__: cls
    for cls in (
        accesslog.FileAccessLog,
        accesslog.StdoutAccessLog,
        accesslog.StderrAccessLog,
        hcm.HttpConnectionManager,
        tls.DownstreamTlsContext,
        tls.UpstreamTlsContext,
        upstreams.HttpProtocolOptions,
    )
}


@pytest.fixture
def resolve():
    """Finds the config classes that lie on this floor, as the registry would."""
    return EXTENSIONS.get


@pytest.fixture
def checked():
    """(yaml, full name) -> the canonical tree; faults fail the test."""

    def run(text, fqn):
        found = Findings()
        tree = check(parse(text, "test.yaml").root, fqn, found)
        assert found.faults == []
        return tree

    return run


@pytest.fixture
def faults():
    """(yaml, full name) -> "path: text" of every fault."""

    def run(text, fqn, **options):
        found = Findings(**options)
        check(parse(text, "test.yaml").root, fqn, found)
        return [f"{render_path(path)}: {text}" for path, text in found.faults]

    return run


@pytest.fixture
def warnings():
    """(yaml, full name) -> "path: text" of every warning."""

    def run(text, fqn, **options):
        found = Findings(**options)
        check(parse(text, "test.yaml").root, fqn, found)
        return [f"{render_path(path)}: {text}" for path, text in found.warnings]

    return run


@pytest.fixture
def structure(checked):
    """(yaml, class) -> the object; what isn't supported fails the test."""

    def run(text, cls):
        converter = ConfigConverter(EXTENSIONS.get)
        made = converter.structure(checked(text, cls.__proto__), cls)
        assert [complaint.text for complaint in converter.faults] == []
        return made

    return run


@pytest.fixture
def lines():
    """The faults of a ConfigErrors, as they are printed."""

    def run(errors):
        assert isinstance(errors, ConfigErrors)
        return [str(fault) for fault in errors.faults]

    return run
