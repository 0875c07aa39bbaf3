"""A DNS server whose answer changes, and which now and then fails or says nothing."""

from collections.abc import Sequence
from random import Random
from typing import Any

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import trio

NAME = "moving.soak.test."
_ANSWERS: Sequence[Sequence[str] | None] = (
    ("127.0.0.1",),
    ("127.0.0.1", "127.0.0.2"),
    ("127.0.0.2",),
    None,
    ("127.0.0.2", "127.0.0.1"),
)


class Names:
    """The server.

    Attributes:
        port: where it listens (UDP).
        asked: questions so far.
    """

    def __init__(self, random: Random) -> None:
        self.port = 0
        self.asked = 0
        self._random = random

    async def run(self, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
            await sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
            task_status.started()
            while True:
                data, peer = await sock.recvfrom(4096)
                if answer := self._answer(data):
                    await sock.sendto(answer, peer)

    def _answer(self, data: bytes) -> bytes:
        query = dns.message.from_wire(data)
        response = dns.message.make_response(query)
        addresses: Sequence[str] | None = _ANSWERS[self.asked % len(_ANSWERS)]
        self.asked += 1
        if self.asked > 1 and self._random.random() < 0.05:
            return b""  # dropped: asked again after its timeout
        if addresses is None:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif query.question[0].rdtype == dns.rdatatype.A:
            response.answer.append(dns.rrset.from_text(query.question[0].name, 1, "IN", "A", *addresses))
        return response.to_wire()
