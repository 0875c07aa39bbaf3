from tests.upstream.conftest import services

__all__ = ["services"]
