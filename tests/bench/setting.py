"""What all rows share: the proxies, the origins, the cores, and how long it goes on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import attrs

from tests.bench.origin import Origins
from tests.bench.others import Peer
from tests.bench.proxies import Flagged

T = TypeVar("T")


@attrs.frozen
class Setting:
    """What all rows share.

    Attributes:
        envoy: the one to compare with.
        ours: the one to measure.
        others: the peers, for the rows that they take part in.
        absent: why a peer is not there, by its name.
        origins: the ports of the origins.
        proxy_cores: where the proxies run.
        other_cores: where the load generator runs.
        rounds: how often each proxy has its turn.
        seconds: how long a turn is.
    """

    envoy: Flagged
    ours: Flagged
    others: Sequence[Peer]
    absent: Mapping[str, str]
    origins: Origins
    proxy_cores: frozenset[int]
    other_cores: frozenset[int]
    rounds: int
    seconds: int

    def turns(self, of: Sequence[T]) -> Iterator[T]:
        """Those in order, the other way round every other time, so many rounds."""
        for turn in range(self.rounds):
            yield from reversed(of) if turn % 2 else of
