"""Run a case against a subject: upstreams up, subject live, steps taken, answer document made."""

import json
import re
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import attrs
import trio

from tests.parity import configs
from tests.parity.case import Case, Trial
from tests.parity.certificates import Certificates
from tests.parity.client import Client
from tests.parity.normalise import Distinct, Normaliser, Unordered
from tests.parity.subjects import Subject, SubjectError
from tests.parity.upstreams import Upstream

AT_ONCE = 4  # cases at the same time: most of their time is waiting
_LIMIT = 90.0  # s for one case
_SETTLE = 0.1  # s for counters and gauges of closed connections


def readable(output: str) -> str:
    """What a subject says of a configuration, without what varies: protobuf's random spaces and the order of maps."""
    text = re.sub(r"(?m)^\[.*?\]\[\d+\]\[\w+\]\[\w+\] \[.*?\] ", "", output)
    text = re.sub(r"goo\.gle/debug\w+", "", re.sub(r"\): \{\".*", ")", text, flags=re.DOTALL))
    text = re.sub(r"(': ).*?\s:\s+(Proto\s+constraint\s+validation)", r"\1\2", text, flags=re.DOTALL)
    text = re.sub(r",\s+near\s+\d+:\d+\s+\(offset\s+\d+\)", "", text)
    text = " ".join(text.split())
    return re.sub(r"@ \S+: [^@]*'\w+' has already been set", "@ ...: a field has already been set", text)[:600]


async def run_case(case: Case, subject: Subject, certificates: Certificates) -> dict[str, Any]:
    """The answer document of one case: normalised, stable, ready to be compared.

    Raises:
        SubjectError: the subject did not start, died, or took too long.
    """
    with tempfile.TemporaryDirectory(prefix="parity-") as directory:
        with trio.move_on_after(_LIMIT) as scope:
            return await _Run(case, subject, certificates, Path(directory)).document()
        assert scope.cancelled_caught
    raise SubjectError(f"{case.name}: not done after {_LIMIT:.0f} s")


Result = dict[str, Any] | Exception


async def run_cases(
    cases: Sequence[Case], subject: Subject, done: Callable[[str, Result], object] = lambda *_: None
) -> dict[str, Result]:
    """All cases, some at a time.

    Args:
        cases: begun in this order.
        subject: what they are run against.
        done: called with each case's name and result as soon as there is one.

    Returns:
        What each case gave or raised, by name.
    """
    results: dict[str, Result] = {}
    limit = trio.CapacityLimiter(AT_ONCE)

    async def one(case: Case, certificates: Certificates) -> None:
        async with limit:
            try:
                results[case.name] = await run_case(case, subject, certificates)
            except Exception as error:  # one broken case must not hide the others
                results[case.name] = error
            done(case.name, results[case.name])

    with tempfile.TemporaryDirectory(prefix="parity-certificates-") as directory:
        certificates = Certificates(Path(directory))
        async with subject.opened(), trio.open_nursery() as nursery:
            for case in cases:
                nursery.start_soon(one, case, certificates)
    return {case.name: results[case.name] for case in cases}


@attrs.define(eq=False)
class _Run:
    case: Case
    subject: Subject
    certificates: Certificates
    directory: Path
    upstreams: dict[str, Upstream] = attrs.field(factory=dict)
    words: dict[str, str] = attrs.field(factory=dict)

    async def document(self) -> dict[str, Any]:
        scripts = {**configs.base_upstreams(self.case.base), **self.case.upstreams}
        async with trio.open_nursery() as nursery:
            for name, script in scripts.items():
                self.upstreams[name] = Upstream(name, script, self.certificates, nursery)
                await self.upstreams[name].open()
            try:
                self.words = {str(upstream.port): name for name, upstream in self.upstreams.items()}
                self._write_files()
                body = await (self._validate() if self.case.validate else self._serve(nursery))
            finally:
                for upstream in self.upstreams.values():
                    upstream.close()
                nursery.cancel_scope.cancel()
        normaliser = Normaliser(self.words, self.case.normalise)
        return {"title": self.case.title, **normaliser.tree(body)}

    def _values(self) -> dict[str, Any]:
        paths = {"dir": str(self.directory), **self.certificates.placeholders()}
        self.words |= {path: name for name, path in paths.items()}
        ports = {name: upstream.port for name, upstream in self.upstreams.items()}
        return {**dict.fromkeys(("admin", "ingress", "second"), 0), "large": "x" * 5000, **paths, **ports}

    def _write_files(self) -> None:
        for name, text in self.case.files.items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(configs.fill_text(text, self._values()))

    async def _serve(self, nursery: trio.Nursery) -> dict[str, Any]:
        text = self.case.ours if self.subject.name == "ours" and self.case.ours is not None else self.case.config
        config = self.directory / "config.yaml"
        if text is not None:
            config.write_text(configs.fill_text(text, self._values()))
        else:
            assert self.case.base is not None
            tree = configs.build(self.case.base, self.case.with_)
            config.write_text(configs.text_of(tree, self._values()))
        args = [configs.fill_text(arg, self._values()) for arg in self.case.args]
        async with self.subject.serve(config, args) as running:
            self.words[str(running.admin)] = "admin"
            client = Client({}, running.admin, self.upstreams, self.certificates, nursery)
            await self._live(client)
            client.listeners = {**await self._listeners(client), "admin": running.admin}
            self.words |= {str(port): name for name, port in client.listeners.items() if isinstance(port, int)}
            taken = [await client.take(step) for step in self.case.steps]
            await client.close_all()
            document: dict[str, Any] = {"steps": [one for one in taken if one is not None]}
            if self.case.stats:
                document["stats"] = await self._stats(client)
            document["exit"] = await running.stop()
        seen = {name: one.document() for name, one in self.upstreams.items() if one.script.record != "none"}
        return {**document, "upstreams": seen, **self._access_log()}

    async def _live(self, client: Client) -> None:
        for _ in range(2000):
            try:
                if (await client.ask_admin("GET /ready")).body == b"LIVE\n":
                    return
            except OSError:
                pass
            await trio.sleep(0.01)
        raise SubjectError(f"{self.subject.name} is not LIVE")

    async def _listeners(self, client: Client) -> dict[str, int | str]:
        """Name to port, or to path."""
        answer = await client.ask_admin("GET /listeners?format=json")
        found: dict[str, int | str] = {}
        for one in json.loads(answer.body).get("listener_statuses", []):
            address = one["local_address"]
            found[one["name"]] = (
                address["socket_address"]["port_value"] if "socket_address" in address else address["pipe"]["path"]
            )
        return found

    async def _stats(self, client: Client) -> dict[str, Any]:
        await trio.sleep(_SETTLE)
        lines = (await client.ask_admin("GET /stats")).body.decode().splitlines()
        values = {name: value for name, _, value in (line.partition(": ") for line in lines)}
        found: dict[str, Any] = {}
        for wanted in self.case.stats:
            if "*" in wanted:
                found |= {name: values[name] for name in sorted(values) if fnmatchcase(name, wanted)}
            else:
                found[wanted] = values.get(wanted)
        return {name: int(value) if value and value.isdigit() else value for name, value in found.items()}

    def _access_log(self) -> dict[str, Any]:
        path = self.directory / "access.log"
        if self.case.access_log == "none" or not path.exists():
            return {}
        lines = path.read_text("latin-1").splitlines()
        kind = {"sorted": Unordered, "distinct": Distinct}.get(self.case.access_log, list)
        return {"access_log": kind(lines)}

    async def _validate(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        limit = trio.CapacityLimiter(AT_ONCE)

        async def one(name: str, trial: Trial) -> None:
            async with limit:
                found[name] = await self._try(name, trial)

        async with trio.open_nursery() as nursery:
            for name, trial in self.case.validate.items():
                nursery.start_soon(one, name, trial)
        return {"validate": {name: found[name] for name in self.case.validate}}

    async def _try(self, name: str, trial: Trial) -> dict[str, Any]:
        text = trial.config
        if self.subject.name == "ours" and trial.ours is not None:
            text = trial.ours
        if text is None and self.case.base is not None:
            tree = configs.build(self.case.base, self.case.with_, trial.with_)
            text = configs.text_of(tree, self._values())
        args = ["--mode", "validate", "-l", "critical"]
        if text is not None:
            text = configs.fill_text(text, self._values())
            config = self.directory / f"{re.sub(r'[^A-Za-z0-9]+', '-', name)}{trial.suffix}"
            config.write_text(text)
            args += ["-c", str(config)]
        args += [configs.fill_text(arg, self._values()) for arg in trial.args]
        verdict = await self.subject.run(args, self.directory)
        found: dict[str, Any] = {"accepted": verdict.exit == 0, "exit": verdict.exit, "printed": verdict.printed}
        if trial.at and text is not None and verdict.exit:
            found["at"] = self._place(text, trial.at, verdict.said)
        return {**found, "_said": readable(verdict.said)}

    def _place(self, text: str, marked: str, output: str) -> Any:
        """line:column of the marked text; for ours, the places it named if that is not among them."""
        offset = text.index(marked)
        right = f"{text.count(chr(10), 0, offset) + 1}:{offset - text.rfind(chr(10), 0, offset)}"
        if self.subject.name == "envoy":
            return right
        named = re.findall(r"\.(?:yaml|yml|json):(\d+:\d+)", output)
        return right if right in named else named


def explain(error: BaseException) -> str:
    """A failed run for people: the subject's own words, or a traceback if the engine is at fault."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return str(error) if isinstance(error, SubjectError) else "".join(traceback.format_exception(error))


def compared(document: Mapping[str, Any]) -> Any:
    """The document without what is only for people: keys that begin with "_"."""

    def plain(node: Any) -> Any:
        if isinstance(node, Mapping):
            return {key: plain(value) for key, value in node.items() if not key.startswith("_")}
        return [plain(value) for value in node] if isinstance(node, list) else node

    return plain(document)
