"""What a case file may say: one YAML file, one idea.

The format is described for authors in docs/parity.md; this module is its exact form. Every key is
checked: a misspelt one is an error that names the file.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import cattrs
import yaml

ROOT = Path(__file__).parent / "cases"

Headers = list[tuple[str, str]]


@attrs.frozen(kw_only=True)
class Answer:
    """How an upstream answers a request, or a connection if the protocol is tcp.

    Attributes:
        when: "GET /prefix", "/prefix" or "" for any request.
        times: the rule retires after so many uses; None means never.
        status: None sends no head at all (see then).
        headers: as "name: value", in order; content-length is added unless framing is given here.
        body: text, or {repeat, times}.
        chunks: pieces of a chunked body (HTTP/1) or of DATA frames (HTTP/2).
        trailers: after the body; HTTP/1 needs chunks.
        interim: answers such as 103 that go out first.
        delay: seconds before the answer.
        early: answer when the head has come, before the body has.
        raw: bytes and pauses (seconds) sent instead of all that.
        then: keep, close, reset (TCP RST or RST_STREAM), or hang (answer nothing more).
        goaway: HTTP/2: send GOAWAY after this answer.
        code: HTTP/2: error code of RST_STREAM.
        echo: after the head (or raw) whatever comes goes back as it is, until it ends; then names the end.
    """

    when: str = ""
    times: int | None = None
    status: int | None = None
    reason: str | None = None
    headers: Any = ()
    body: Any = ""
    chunks: list[str] | None = None
    trailers: Any = ()
    interim: list[Mapping[str, Any]] = attrs.field(factory=list)
    delay: float = 0.0
    early: bool = False
    raw: list[Any] | None = None
    then: str = attrs.field(default="keep", validator=attrs.validators.in_(("keep", "close", "reset", "hang")))
    goaway: bool = False
    code: int = 2
    echo: bool = False


@attrs.frozen(kw_only=True)
class UpstreamScript:
    """A scripted origin on a free loopback port, or a place where there is none.

    Attributes:
        protocol: http1, h2c, frames (HTTP/2 frame by frame, in `raw`), tcp, down (connection refused) or blackhole
            (connects never finish).
        tls: present: speak TLS; {alpn: [...], cert: name}.
        answers: first rule that matches; none: 200 with the body "ok".
        record: all, distinct (each different request once) or none.
        extended_connect: HTTP/2: SETTINGS_ENABLE_CONNECT_PROTOCOL is sent.
        hello: frames: sent when a connection begins, instead of SETTINGS.
    """

    protocol: str = attrs.field(
        default="http1", validator=attrs.validators.in_(("http1", "h2c", "frames", "tcp", "down", "blackhole"))
    )
    tls: Mapping[str, Any] | None = None
    answers: list[Answer] = attrs.field(factory=list)
    record: str = attrs.field(default="all", validator=attrs.validators.in_(("all", "distinct", "none")))
    extended_connect: bool = False
    hello: list[Any] | None = None


@attrs.frozen(kw_only=True, slots=False)
class Request:
    """One structured request, for HTTP/1 or HTTP/2.

    Attributes:
        request: "METHOD target".
        headers: host a.com (:authority) comes first unless given; null leaves it out.
        body: text, or {repeat, times}.
        chunks: pieces of a chunked body (HTTP/1) or of DATA frames (HTTP/2, with pauses in seconds between).
        trailers: after the body.
        fields: HTTP/2: the whole header list, pseudo headers too, as [name, value], unchecked.
        reset: HTTP/2: RST_STREAM after so many seconds.
    """

    request: str = "GET /"
    headers: Any = ()
    body: Any = ""
    chunks: list[Any] | None = None
    trailers: Any = ()
    fields: list[list[str]] | None = None
    reset: float | None = None


@attrs.frozen(kw_only=True, slots=False)
class Line:
    """Where a step sends to.

    Attributes:
        via: name of a connection that stays open for later steps; "" is a fresh one.
        to: name of the listener.
        tls: {sni, alpn, cert, version}; None is plain text.
        within: seconds to wait for an answer.
        show: parts of each answer that are recorded; empty: all.
        until_close: wait for the peer's close (5 s at most) and record it.
        repeat: so many times, one after the other.
        cycle: what repeat gave has no first: it is recorded from where it reads smallest.
        fate: whether the fate of the connection is recorded.
    """

    via: str = ""
    to: str = "ingress"
    tls: Mapping[str, Any] | None = None
    within: float = 5.0
    show: list[str] = attrs.field(factory=list)
    until_close: bool = False
    repeat: int = 1
    cycle: bool = False
    fate: bool = True


@attrs.frozen(kw_only=True, slots=False)
class RequestStep(Request, Line):
    """An HTTP/1 request and its answer; version and pause (before the body) beside what Request says."""

    version: str = "HTTP/1.1"
    pause: float = 0.0


@attrs.frozen(kw_only=True)
class RawStep(Line):
    """Bytes and pauses, then so many answers.

    Attributes:
        raw: a text, or a list of texts, {repeat, times} and pauses in seconds.
        responses: final answers to read; 0 reads none.
        then: what the client does after sending: read, half_close, or close and reset (after a pause).
        plain: read bytes until nothing comes any more, not HTTP.
    """

    raw: Any
    responses: int = 1
    then: str = attrs.field(default="read", validator=attrs.validators.in_(("read", "half_close", "close", "reset")))
    plain: bool = False


@attrs.frozen(kw_only=True)
class PipelineStep(Line):
    """Several HTTP/1 requests in one write, then all answers."""

    pipeline: list[Request]


@attrs.frozen(kw_only=True)
class H2Step(Line):
    """Several HTTP/2 requests at once on one connection, prior knowledge or ALPN."""

    h2: list[Request]


@attrs.frozen(kw_only=True)
class FramesStep(Line):
    """HTTP/2 frame by frame, on a connection of its own; see tests.parity.frames.

    Attributes:
        frames: sent after the preface and SETTINGS.
        name: what it is about.
        hello: sent instead of the preface and SETTINGS.
        settings: [key, value] each, in our SETTINGS.
        ack: the other end's SETTINGS are acknowledged.
        deaf: seconds in which nothing is read.
        show: settings, windows, pings, pongs, acknowledged: recorded beside the streams and GOAWAYs; bytes: instead
            of the streams, how each byte ended that stood for {byte}.
    """

    frames: list[Any]
    name: str = ""
    hello: list[Any] | None = None
    settings: list[list[int]] = attrs.field(factory=list)
    ack: bool = True
    deaf: float = 0.0


@attrs.frozen(kw_only=True)
class AdminStep:
    """A request to the admin interface.

    Attributes:
        admin: "GET /path" or "POST /path".
        pick: regular expressions; only lines of the body that match one are recorded.
        sort: the lines have no order worth comparing.
        json: the body is JSON whose keys come in no particular order: record it parsed and sorted.
        keys: record only which keys the JSON body has, at every depth up to this one.
        headers: record the reply's headers too.
        show: as for requests; the body alone may be left out.
    """

    admin: str
    pick: list[str] = attrs.field(factory=list)
    sort: bool = False
    json: bool = False
    keys: int = 0
    headers: bool = False
    body: str = ""
    show: list[str] = attrs.field(factory=lambda: ["status", "body"])


@attrs.frozen(kw_only=True)
class UntilStep:
    """Poll an admin page until a regular expression is found in it."""

    until: str
    shows: str
    within: float = 8.0


@attrs.frozen(kw_only=True)
class WaitStep:
    """Seconds in which nothing is done."""

    wait: float


@attrs.frozen(kw_only=True)
class CloseStep:
    """The client ends a named connection: close, reset or half_close."""

    close: str
    how: str = attrs.field(default="close", validator=attrs.validators.in_(("close", "reset", "half_close")))


@attrs.frozen(kw_only=True)
class WatchStep:
    """What has become of a named connection: kept, closed or reset."""

    watch: str
    within: float = 0.2


@attrs.frozen(kw_only=True)
class SetStep:
    """Change an upstream: other answers, or down / up."""

    set: str
    answers: list[Answer] | None = None
    state: str | None = None


@attrs.frozen(kw_only=True)
class ParallelStep:
    """Steps that run at the same time, each begun `stagger` seconds after the one before."""

    parallel: list[Any]
    stagger: float = 0.1


Step = (
    RequestStep
    | RawStep
    | PipelineStep
    | H2Step
    | FramesStep
    | AdminStep
    | UntilStep
    | WaitStep
    | CloseStep
    | WatchStep
    | SetStep
    | ParallelStep
)
_VERBS: dict[str, type[Any]] = {
    "request": RequestStep,
    "raw": RawStep,
    "pipeline": PipelineStep,
    "h2": H2Step,
    "frames": FramesStep,
    "admin": AdminStep,
    "until": UntilStep,
    "wait": WaitStep,
    "close": CloseStep,
    "watch": WatchStep,
    "set": SetStep,
    "parallel": ParallelStep,
}


@attrs.frozen(kw_only=True)
class Trial:
    """One configuration that is only validated.

    Attributes:
        config: the file's text; None takes base and with of the case, with this `with` over it.
        with_: parts for the base.
        at: a text whose place in the file ours must name as file:line:column; "" if accepted.
        args: further command line arguments.
        ours: another text for ours (a v2 file whose v3 twin is in config).
        suffix: the file's name is config + suffix.
    """

    config: str | None = None
    with_: Mapping[str, Any] = attrs.field(factory=dict)
    at: str = ""
    args: list[str] = attrs.field(factory=list)
    ours: str | None = None
    suffix: str = ".yaml"


@attrs.frozen(kw_only=True)
class Case:
    """A case file; see docs/parity.md."""

    name: str
    title: str
    base: str | None = None
    with_: Mapping[str, Any] = attrs.field(factory=dict)
    config: str | None = None
    ours: str | None = None
    files: Mapping[str, str] = attrs.field(factory=dict)
    args: list[str] = attrs.field(factory=list)
    upstreams: Mapping[str, UpstreamScript] = attrs.field(factory=dict)
    steps: list[Any] = attrs.field(factory=list)
    validate: Mapping[str, Trial] = attrs.field(factory=dict)
    stats: list[str] = attrs.field(factory=list)
    access_log: str = attrs.field(
        default="in order", validator=attrs.validators.in_(("in order", "sorted", "distinct", "none"))
    )
    normalise: list[list[str]] = attrs.field(factory=list)

    @property
    def recording(self) -> Path:
        """Where the oracle's answer lies."""
        return ROOT / f"{self.name}.json"


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True, prefer_attrib_converters=True)
    for cls in (Trial, Case):
        converter.register_structure_hook(
            cls,
            cattrs.gen.make_dict_structure_fn(
                cls, converter, _cattrs_forbid_extra_keys=True, with_=cattrs.override(rename="with")
            ),
        )
    plain = cattrs.gen.make_dict_structure_fn(Request, converter, _cattrs_forbid_extra_keys=True)
    converter.register_structure_hook_func(
        lambda cls: cls is Request,
        lambda value, cls: plain({"request": value} if isinstance(value, str) else value, cls),
    )
    converter.register_structure_hook(float, lambda value, _: float(value))
    return converter


_CONVERTER = _converter()


def step_from(value: Any) -> Step:
    """The step a YAML node says; "GET /x" alone is a request."""
    if isinstance(value, str):
        value = {"request": value}
    verbs = [verb for verb in _VERBS if verb in value]
    if len(verbs) != 1:
        raise ValueError(f"a step needs exactly one of {', '.join(_VERBS)}; got {sorted(value)}")
    step: Step = _CONVERTER.structure(value, _VERBS[verbs[0]])
    if isinstance(step, ParallelStep):
        return attrs.evolve(step, parallel=[step_from(inner) for inner in step.parallel])
    return step


def upstream_scripts(tree: Mapping[str, Any]) -> dict[str, UpstreamScript]:
    """Upstreams by name, from their YAML nodes."""
    return _CONVERTER.structure(tree, dict[str, UpstreamScript])


def load(path: Path) -> Case:
    """Read one case file.

    Raises:
        ValueError: unknown keys, wrong types or a missing title; the message names the file.
    """
    name = str(path.relative_to(ROOT).with_suffix(""))
    try:
        tree = yaml.safe_load(path.read_text())
        case = _CONVERTER.structure({"name": name, **tree}, Case)
        case = attrs.evolve(case, steps=[step_from(step) for step in case.steps])
    except (cattrs.BaseValidationError, ValueError, yaml.YAMLError) as error:
        reasons = "; ".join(cattrs.transform_error(error)) if isinstance(error, cattrs.BaseValidationError) else error
        raise ValueError(f"{path}: {reasons}") from error
    if bool(case.steps) == bool(case.validate):
        raise ValueError(f"{path}: a case has either steps or validate")
    if case.steps and (case.base is None) == (case.config is None):
        raise ValueError(f"{path}: a case has either base or config")
    return case


def find(names: Sequence[str] = ()) -> list[Case]:
    """All cases in order of name, or those whose name begins with one of the names given.

    Raises:
        LookupError: a name fits no case.
    """
    paths = sorted(ROOT.rglob("*.yaml"))
    fits = {path: str(path.relative_to(ROOT).with_suffix("")) for path in paths}
    for name in names:
        if not any(found.startswith(name) for found in fits.values()):
            raise LookupError(f"no case begins with {name!r}")
    return [load(path) for path, found in fits.items() if not names or found.startswith(tuple(names))]


def header_list(value: Any) -> Headers:
    """Headers as pairs: from a mapping, from "name: value" lines, or from pairs."""
    if isinstance(value, Mapping):
        return [(str(name), str(text)) for name, text in value.items() if text is not None]
    return [tuple(line.split(": ", 1)) if isinstance(line, str) else tuple(map(str, line)) for line in value]  # type: ignore[misc] # two parts each


def body_bytes(value: Any) -> bytes:
    """A body: text in latin-1, or {repeat, times}."""
    if isinstance(value, Mapping):
        return str(value["repeat"]).encode("latin-1") * int(value["times"])
    return str(value).encode("latin-1")
