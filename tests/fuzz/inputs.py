"""What is sent through both proxies."""

import attrs


@attrs.frozen
class Script:
    """How the origin answers the first request of an input.

    Attributes:
        pieces: its bytes, sent one after the other.
        then: what follows: keep, close or reset.
        early: answer when the head is here.
        pause: seconds between the pieces.
    """

    pieces: tuple[bytes, ...]
    then: str = "keep"
    early: bool = False
    pause: float = 0.004


@attrs.frozen
class Input:
    """One connection of the client.

    Attributes:
        options: the name of the set of options.
        pieces: the client's bytes, sent one after the other.
        then: what follows when the answer is here, or none comes: "probe" sends one more request, "end" half-closes.
        script: of the origin; None answers everything 200.
        method: of the first request, where it is known: what a reader of the answer must know.
        pause: seconds between the pieces.
    """

    options: str
    pieces: tuple[bytes, ...]
    then: str = "probe"
    script: Script | None = None
    method: str = ""
    pause: float = 0.002
