"""What we say we are: the version of the Envoy whose behaviour is followed, and our own."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Final

ENVOY_VERSION: Final = "1.40.0"  # the oracle that parity is recorded from
HOT_RESTART_VERSION: Final = "disabled"


def own_version() -> str:
    """Our package's version; "0" when it runs from a folder that was never installed."""
    try:
        return version("trio-envoy")
    except PackageNotFoundError:
        return "0"


def version_text() -> str:
    """In the form of Envoy's `hash/version/status/type/ssl`: scripts cut it at the slashes."""
    import ssl

    return f"trio-envoy-{own_version()}/{ENVOY_VERSION}/Clean/RELEASE/{ssl.OPENSSL_VERSION.split()[0]}"
