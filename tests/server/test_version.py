from importlib.metadata import PackageNotFoundError

from trio_envoy.server import version


def test_the_text_is_cut_at_slashes_as_envoys_is():
    who, envoy, status, kind, tls = version.version_text().split("/")

    assert who == f"trio-envoy-{version.own_version()}"
    assert (envoy, status, kind) == ("1.40.0", "Clean", "RELEASE")
    assert tls in {"OpenSSL", "LibreSSL", "BoringSSL", "AWS-LC"}


def test_a_folder_that_was_never_installed_has_no_version(monkeypatch):
    def missing(_):
        raise PackageNotFoundError

    monkeypatch.setattr(version, "version", missing)

    assert version.own_version() == "0"
