import pytest

from trio_envoy.http.body import BytesBody
from trio_envoy.server.admin.endpoint import JSON, TEXT, Query, Reply, json_reply, parse_query


@pytest.mark.parametrize(
    ("target", "form", "path", "params"),
    [
        (b"/stats", b"", "/stats", {}),
        (b"/stats?usedonly", b"", "/stats", {"usedonly": ""}),
        (b"/stats?usedonly&filter=a%2Eb", b"", "/stats", {"usedonly": "", "filter": "a.b"}),
        (b"/x?a=1&a=2", b"", "/x", {"a": "2"}),
        (b"/x?a=1", b"a=2&b=3+4", "/x", {"a": "2", "b": "3 4"}),
        (b"/x?a=b=c", b"", "/x", {"a": "b=c"}),
        (b"/x?\xff=1", b"", "/x", {"ÿ": "1"}),
    ],
)
def test_queries(target, form, path, params):
    query = parse_query(target, "POST", form)

    assert (query.path, query.params, query.method) == (path, params, "POST")


def test_a_flag_is_there_whatever_its_value():
    query = Query("/x", {"a": "", "b": "0"})

    assert (query.has("a"), query.has("b"), query.has("c")) == (True, True, False)


async def test_a_text_becomes_a_body():
    reply = Reply("häl")

    assert await reply.body.read() == "häl".encode()
    assert (reply.status, reply.content_type) == (200, TEXT)


def test_a_body_stays_what_it_is():
    body = BytesBody(b"x")

    assert Reply(body).body is body


def test_json_ends_with_a_newline():
    reply = json_reply({"a": [1]})

    assert (reply.text, reply.content_type) == ('{\n "a": [\n  1\n ]\n}\n', JSON)
