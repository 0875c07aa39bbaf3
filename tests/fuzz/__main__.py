"""Differential fuzzing of HTTP/1.

`python -m tests.fuzz [--count N] [--seed S] [--requests | --responses] [--options NAME ...]`

Each input goes through the real Envoy and through ours, with the same configuration and the same origin; what the
origin saw, what the client saw, the end of the connection and the access log are compared. Exit code 1 if something
differs that docs/differences.md does not explain.
"""

import argparse
import sys
import time
from collections import Counter
from random import Random

import trio

from tests.fuzz import configs, known, requests, responses
from tests.fuzz.inputs import Input
from tests.fuzz.lab import PATIENCE, Lab, opened
from tests.fuzz.minimise import minimised
from tests.fuzz.outcome import Outcome, differences, signature

_BATCH = 1000
_TRIES = 3  # times that a difference must show; more patience each time
_MINIMISED = 12  # kinds of differences that are made small

Pair = tuple[Outcome, Outcome]


def main(args: list[str]) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000, help="inputs (20000)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same inputs (1)")
    parser.add_argument("--only", type=int, help="run the input with this number, and show what became of it")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--requests", action="store_true", help="only requests")
    which.add_argument("--responses", action="store_true", help="only responses")
    parser.add_argument(
        "--options", nargs="+", choices=sorted(configs.SETS), default=list(configs.SETS), metavar="NAME"
    )
    chosen = parser.parse_args(args)
    for reason in known.check():
        print(f"not in docs/differences.md: {reason}")
        return 1
    return trio.run(_fuzz, chosen)


def make(seed: int, number: int, options: list[str], *, requests_too: bool = True, responses_too: bool = True) -> Input:
    """The input with this number."""
    random = Random(f"{seed}.{number}")
    name = random.choice(options)
    if responses_too and (not requests_too or random.random() < 0.4):
        return responses.make(random, name)
    return requests.make(random, name)


async def _fuzz(chosen: argparse.Namespace) -> int:
    def made(number: int) -> Input:
        return make(
            chosen.seed,
            number,
            chosen.options,
            requests_too=not chosen.responses,
            responses_too=not chosen.requests,
        )

    async with opened(chosen.options) as lab:
        if chosen.only is not None:
            [pair] = await lab.run([made(chosen.only)], PATIENCE * 3)
            _show(made(chosen.only), pair, whole=True)
            return 0
        found = _Found()
        began = time.perf_counter()
        for start in range(0, chosen.count, _BATCH):
            numbers = range(start, min(start + _BATCH, chosen.count))
            await found.take(lab, {number: made(number) for number in numbers})
        took = time.perf_counter() - began
        print(f"{chosen.count} inputs in {took:.0f} s: {chosen.count / took:.0f} a second")
        return await found.report(lab)


class _Found:
    """The differences so far, by signature."""

    def __init__(self) -> None:
        self.explained: Counter[str] = Counter()
        self.passing = 0  # that did not show again
        self.kinds: dict[tuple[str, ...], list[tuple[int, Input, Pair]]] = {}

    async def take(self, lab: Lab, cases: dict[int, Input]) -> None:
        """Run a batch; what differs is run again, with more patience, and must differ each time."""
        envoys: dict[int, list[Outcome]] = {}
        mine: dict[int, list[Outcome]] = {}
        suspects = cases
        for again in range(_TRIES):
            pairs = await lab.run(list(suspects.values()), PATIENCE * (1, 4, 10)[again])
            for number, (envoy, ours) in zip(suspects, pairs, strict=True):
                envoys.setdefault(number, []).append(envoy)
                mine.setdefault(number, []).append(ours)
            suspects = {
                number: case
                for number, case in suspects.items()
                if all(differences(envoy, ours) for envoy in envoys[number] for ours in mine[number])
                and not self._is_known(case, (envoys[number][-1], mine[number][-1]))
            }
            if not again:
                first = len(suspects)
        self.passing += first - len(suspects)
        for number, case in suspects.items():
            pair = envoys[number][-1], mine[number][-1]
            self.kinds.setdefault(signature(*pair), []).append((number, case, pair))

    def _is_known(self, case: Input, pair: Pair) -> bool:
        reason = known.explanation(case, *pair)
        if reason is not None:
            self.explained[reason] += 1
        return reason is not None

    async def report(self, lab: Lab) -> int:
        """Print what was found, small; the exit code."""
        for index, (kind, examples) in enumerate(sorted(self.kinds.items(), key=lambda item: -len(item[1]))):
            number, case, pair = min(examples, key=lambda one: len(repr(one[1])))
            if index < _MINIMISED:
                small = await minimised(lab, case, kind)
                if small != case:
                    [pair] = await lab.run([small], PATIENCE * 3)
                    case = small
            print(f"\n{len(examples)} x, first number {examples[0][0]}, this is from {number}; ", end="")
            print(f"differs in {', '.join(kind[2:])}")
            _show(case, pair)
        for reason, count in self.explained.most_common():
            print(f"{count:6} explained: {reason}")
        print(f"{self.passing:6} did not show again")
        print(f"{sum(map(len, self.kinds.values())):6} differ, in {len(self.kinds)} ways")
        return 1 if self.kinds else 0


def _show(case: Input, pair: Pair, *, whole: bool = False) -> None:
    print(f"  options {case.options}, then {case.then}")
    pieces = [("request", case.pieces)]
    if case.script is not None:
        pieces.append((f"answer, {'early, ' if case.script.early else ''}then {case.script.then}", case.script.pieces))
    for name, sent in pieces:
        print(f"  {name}: {', '.join(_cut(repr(piece)) for piece in sent)}")
    if whole:
        for name, outcome in zip(("envoy", "ours"), pair, strict=True):
            print(f"  {name}:", *(f"    {_cut(line)}" for line in str(outcome).splitlines()), sep="\n")
        return
    print(f"  envoy: {pair[0].brief}\n  ours:  {pair[1].brief}")
    for one in differences(*pair):
        print(f"  {one.where}\n    envoy: {_cut(one.envoy)}\n    ours:  {_cut(one.ours)}")


def _cut(text: str) -> str:
    return text if len(text) <= 700 else f"{text[:500]} ... {text[-100:]} ({len(text)})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
