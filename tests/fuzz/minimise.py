"""Makes an input that differs smaller, as long as it differs in the same way."""

from collections.abc import Iterator

import attrs

from tests.fuzz.inputs import Input
from tests.fuzz.lab import Lab
from tests.fuzz.outcome import signature

_ROUNDS = 20
_PARTS = 96  # more candidates at once take too long


async def minimised(lab: Lab, case: Input, wanted: tuple[str, ...]) -> Input:
    """A smaller input with the same signature; a round tries many candidates at once."""
    parts = 2
    for _ in range(_ROUNDS):
        candidates = list(_candidates(case, parts))
        if not candidates:
            break
        pairs = await lab.run(candidates)
        smaller = next((one for one, pair in zip(candidates, pairs, strict=True) if signature(*pair) == wanted), None)
        if smaller is not None:
            case = smaller
            parts = max(parts - 1, 2)
        elif parts >= min(_size(case), _PARTS):
            break
        else:
            parts = min(parts * 2, _size(case), _PARTS)
    return case


def _size(case: Input) -> int:
    return len(b"".join(_pieces(case)))


def _pieces(case: Input) -> tuple[bytes, ...]:
    return case.script.pieces if case.script is not None else case.pieces


def _candidates(case: Input, parts: int) -> Iterator[Input]:
    pieces = _pieces(case)
    if len(pieces) > 1:
        yield _with(case, (b"".join(pieces),))
        for index in range(1, len(pieces)):
            yield _with(case, (*pieces[: index - 1], pieces[index - 1] + pieces[index], *pieces[index + 1 :]))
    whole = b"".join(pieces)
    ends = [len(b"".join(pieces[:index])) for index in range(1, len(pieces))]
    for number in range(parts):
        low, high = len(whole) * number // parts, len(whole) * (number + 1) // parts
        if low < high:
            left = [end if end <= low else max(low, end - (high - low)) for end in ends]
            rest = whole[:low] + whole[high:]
            yield _with(case, tuple(rest[a:b] for a, b in zip([0, *left], [*left, len(rest)], strict=True)))


def _with(case: Input, pieces: tuple[bytes, ...]) -> Input:
    if case.script is None:
        return attrs.evolve(case, pieces=pieces)
    return attrs.evolve(case, script=attrs.evolve(case.script, pieces=pieces))
