from __future__ import annotations

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rrset
import pytest

from trio_envoy.net.dns_wire import AAAA, A, Answer, BadName, Query, ServerFault, Truncated


def an_answer(query: Query, *records: tuple, code=dns.rcode.NOERROR, flags=0) -> bytes:
    response = dns.message.make_response(dns.message.from_wire(query.to_wire()))
    response.set_rcode(code)
    response.flags |= flags
    for record in records:
        response.answer.append(dns.rrset.from_text(*record))
    return response.to_wire()


@pytest.fixture
def query():
    return Query("api.example", A, 0x1234)


def test_the_question(query):
    message = dns.message.from_wire(query.to_wire())

    assert message.id == 0x1234
    assert message.question[0].to_text() == "api.example. IN A"
    assert message.edns == 0
    assert message.payload == 1232
    assert message.flags & dns.flags.RD
    assert query.uses_edns
    assert dns.message.from_wire(Query("a", AAAA, 1, edns=False).to_wire()).edns == -1


def test_addresses_and_the_least_ttl(query):
    wire = an_answer(
        query,
        ("api.example.", 300, "IN", "CNAME", "real.example."),
        ("real.example.", 60, "IN", "A", "10.0.0.1", "10.0.0.2"),
        ("real.example.", 60, "IN", "TXT", "noise"),
    )
    answer = query.read(wire)

    assert sorted(answer.addresses) == ["10.0.0.1", "10.0.0.2"]
    assert answer.ttl == 60


def test_the_ttl_of_an_alias_counts(query):
    wire = an_answer(
        query,
        ("api.example.", 5, "IN", "CNAME", "real.example."),
        ("real.example.", 60, "IN", "A", "10.0.0.1"),
    )
    assert query.read(wire) == Answer(("10.0.0.1",), 5.0)


@pytest.mark.parametrize("code", [dns.rcode.NOERROR, dns.rcode.NXDOMAIN])
def test_no_such_name_or_record_is_an_empty_answer(query, code):
    assert query.read(an_answer(query, code=code)) == Answer((), 0.0)


def test_an_alias_to_nothing_is_an_empty_answer(query):
    wire = an_answer(query, ("api.example.", 5, "IN", "CNAME", "real.example."))
    assert query.read(wire) == Answer((), 0.0)


@pytest.mark.parametrize("code", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.FORMERR])
def test_a_server_that_fails(query, code):
    with pytest.raises(ServerFault, match=dns.rcode.to_text(code)):
        query.read(an_answer(query, code=code))


def test_an_endless_chain_of_aliases_is_the_servers_fault(query):
    wire = an_answer(
        query,
        ("api.example.", 5, "IN", "CNAME", "b.example."),
        ("b.example.", 5, "IN", "CNAME", "api.example."),
    )
    with pytest.raises(ServerFault):
        query.read(wire)


def test_truncated(query):
    with pytest.raises(Truncated):
        query.read(an_answer(query, flags=dns.flags.TC))


def test_foreign_messages_are_passed_over(query):
    other_id = Query("api.example", A, 0x4321)
    other_name = Query("evil.example", A, 0x1234)
    other_type = Query("api.example", AAAA, 0x1234)

    for other in (other_id, other_name, other_type):
        assert query.read(an_answer(other)) is None
    assert query.read(query.to_wire()) is None
    assert query.read(b"garbage") is None
    assert query.read(b"") is None
    whole = an_answer(query, ("api.example.", 5, "IN", "A", "10.0.0.1"))
    for length in range(len(whole)):
        assert query.read(whole[:length]) is None


def test_an_update_is_not_an_answer(query):
    update = bytearray(an_answer(query))
    update[2] = update[2] & ~0x78 | dns.opcode.UPDATE << 3

    assert query.read(bytes(update)) is None


@pytest.mark.parametrize("name", ["a..b", "a" * 64, "." * 3, "x." * 200])
def test_bad_names(name):
    with pytest.raises(BadName):
        Query(name, A, 1)
