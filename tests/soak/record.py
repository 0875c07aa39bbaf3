"""What was done, and what was found wrong."""

from collections import Counter
from collections.abc import Sequence

import attrs

_SHOWN = 20  # findings of a kind that are printed


@attrs.define
class Record:
    """What the soak has done so far; threads write to it too.

    Attributes:
        done: how often something was done, by its name.
        found: what was wrong: (kind, text).
    """

    done: Counter[str] = attrs.field(factory=Counter)
    found: list[tuple[str, str]] = attrs.field(factory=list)

    def did(self, what: str) -> None:
        """Something was done, and was answered as it should be."""
        self.done[what] += 1

    def fault(self, kind: str, text: str) -> None:
        """Something is wrong."""
        self.found.append((kind, text))

    def expect(self, kind: str, got: object, expected: object) -> bool:
        """Whether an answer is right; counted if it is, a fault if not."""
        if got == expected:
            self.did(kind)
            return True
        self.fault(kind, f"got {got!r:.300}, not {expected!r:.100}")
        return False

    def table(self, rounds: Sequence["Round"]) -> str:
        """What to print."""
        lines = [f"{'done':<32}{'times':>10}", *(f"{name:<32}{count:>10}" for name, count in sorted(self.done.items()))]
        lines += ["", f"{'after round':<12}{'RSS MiB':>10}{'descriptors':>14}{'CPU s':>10}"]
        lines += [
            f"{number:<12}{found.rss / 2**20:>10.1f}{found.descriptors:>14}{found.cpu:>10.1f}"
            for number, found in enumerate(rounds)
        ]
        lines += ["", f"faults: {len(self.found)}"]
        lines += [f"  {kind}: {text}" for kind, text in self.found[:_SHOWN]]
        if len(self.found) > _SHOWN:
            lines.append(f"  and {len(self.found) - _SHOWN} more")
        return "\n".join(lines)


@attrs.frozen
class Round:
    """What the proxy's processes hold when nothing is under way.

    Attributes:
        rss: resident memory in bytes.
        descriptors: open files and sockets.
        cpu: seconds so far.
    """

    rss: int
    descriptors: int
    cpu: float
