from typing import Any

import attrs
import pytest

from trio_envoy.config.v2 import document as _rules_register_themselves  # noqa: F401
from trio_envoy.config.v2.run import Run
from trio_envoy.config.v2.walk import Era, upgrade_message


@attrs.frozen
class Outcome:
    new: Any
    changes: list[tuple[str, str]]
    faults: list[tuple[str, str]]
    run: Run


def _joined(path):
    return ".".join(map(str, path))


@pytest.fixture
def as_v2():
    """Upgrade one message, known to be v2, of that v3 name (without "envoy.")."""

    def upgrade_one(fqn: str, old: Any, era: Era = Era.V2) -> Outcome:
        run = Run(is_v2=era is Era.V2)
        new = upgrade_message(run, old, (), f"envoy.{fqn}", era, None)
        changes = [(_joined(each.path), each.text) for each in run.changes]
        return Outcome(new, changes, [(_joined(each.path), each.text) for each in run.faults], run)

    return upgrade_one
