"""DNS messages, sans-IO, by dnspython. Imported on the first query: dnspython takes 40 ms to load."""

from __future__ import annotations

from typing import Final

import attrs
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

A: Final = dns.rdatatype.A
AAAA: Final = dns.rdatatype.AAAA

_PAYLOAD: Final = 1232  # bytes over UDP; the size of DNS Flag Day 2020, as c-ares asks for


@attrs.frozen
class Answer:
    """What a server said.

    Attributes:
        addresses: IP texts; () when the name or the record is not there.
        ttl: seconds, the least of the addresses and the aliases before them.
    """

    addresses: tuple[str, ...]
    ttl: float


class Truncated(Exception):
    """The answer does not fit into UDP."""


class ServerFault(Exception):
    """This server can't or won't answer (SERVFAIL, REFUSED, ...); another may."""


class BadName(Exception):
    """The text can't be a name: empty or too long labels."""


class Query:
    """One question.

    Args:
        name: full name, without the dot at its end.
        record: A or AAAA.
        identity: 16 random bits.
        edns: tell that longer answers are taken; False for servers that do not know of it.

    Raises:
        BadName: see there.
    """

    def __init__(self, name: str, record: dns.rdatatype.RdataType, identity: int, *, edns: bool = True) -> None:
        try:
            full = dns.name.from_text(name)
        except (dns.exception.DNSException, UnicodeError) as error:
            raise BadName(str(error)) from error
        self._message = dns.message.make_query(full, record, use_edns=0 if edns else -1, payload=_PAYLOAD, id=identity)
        self._edns = edns

    @property
    def uses_edns(self) -> bool:
        """Whether it could be asked again without."""
        return self._edns

    def to_wire(self) -> bytes:
        """The question as sent over UDP; over TCP its length goes before it."""
        return self._message.to_wire()

    def read(self, wire: bytes) -> Answer | None:
        """What an answer says; None for a message that is none to this question (forged, late, garbled).

        Raises:
            Truncated: ask over TCP.
            ServerFault: ask another server.
        """
        try:
            response = dns.message.from_wire(wire, ignore_trailing=True, raise_on_truncation=False)
        except (dns.exception.DNSException, ValueError):
            return None
        if not isinstance(response, dns.message.QueryMessage) or not self._message.is_response(response):
            return None
        if response.flags & dns.flags.TC:
            raise Truncated
        code = response.rcode()
        if code not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise ServerFault(dns.rcode.to_text(code))
        try:
            chain = response.resolve_chaining()
        except dns.exception.DNSException as error:  # an endless chain of aliases
            raise ServerFault(str(error)) from error
        found = chain.answer
        if found is None:
            return Answer((), 0.0)
        ttl = min([found.ttl, *(alias.ttl for alias in chain.cnames)])
        return Answer(tuple(record.address for record in found), float(ttl))
