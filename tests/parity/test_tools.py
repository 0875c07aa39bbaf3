"""The suite's own tools: case files, bases, normalising, comparing, reading HTTP/1."""

import pytest
import trio
from trio.testing import memory_stream_pair

from tests.parity import configs
from tests.parity.case import RequestStep, find, load, step_from
from tests.parity.differences import Difference, Known, differences, known
from tests.parity.http1 import Reader, encode
from tests.parity.normalise import Cycle, Distinct, Normaliser, Unordered

VALUES = {"up": 4001, "other": 4002, "dir": "/tmp/x", "ingress": 0, "admin": 0}


def test_a_misspelt_key_is_an_error_that_names_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.parity.case.ROOT", tmp_path)
    path = tmp_path / "case.yaml"
    path.write_text("title: t\nbase: http\nsteps: [{request: GET /, header: {a: b}}]\n")

    with pytest.raises(ValueError, match=r"case\.yaml.*header"):
        load(path)


def test_a_text_alone_is_a_request():
    assert step_from("GET /x") == RequestStep(request="GET /x")


def test_a_step_has_one_verb():
    with pytest.raises(ValueError, match="exactly one"):
        step_from({"request": "GET /", "wait": 1})


def test_names_select_cases_by_their_beginning():
    names = [case.name for case in find(["requests/head"])]

    assert "requests/head" in names
    assert all(name.startswith("requests/head") for name in names)
    with pytest.raises(LookupError, match="no case begins"):
        find(["no/such"])


def test_parts_are_merged_replaced_removed_and_appended():
    tree = configs.build(
        "http", {"hcm": {"via": "me", "delayed_close_timeout": None}, "routes": [], "more_clusters": [{"name": "b"}]}
    )

    hcm = tree["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    assert hcm["via"] == "me"
    assert hcm["stat_prefix"] == "ingress"
    assert "delayed_close_timeout" not in hcm
    assert hcm["route_config"]["virtual_hosts"][0]["routes"] == []
    assert [cluster["name"] for cluster in tree["static_resources"]["clusters"]] == ["up", "b"]


def test_an_unknown_slot_is_an_error():
    with pytest.raises(LookupError, match="no slot 'hmc'"):
        configs.build("http", {"hmc": {}})


def test_placeholders_in_trees_keep_their_type_and_in_texts_become_json():
    tree = configs.text_of({"port": "${up}", "path": "${dir}/log", "to": "${to up other*3}"}, VALUES)

    assert '"port": 4001' in tree
    assert '"path": "/tmp/x/log"' in tree
    assert '"load_balancing_weight": 3' in tree
    assert configs.fill_text("port: ${up}\nlog: ${dir}/log", VALUES) == "port: 4001\nlog: /tmp/x/log"
    with pytest.raises(LookupError, match="unknown placeholder"):
        configs.fill_text("${nowhere}", VALUES)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("date: Tue, 24 Nov 2026 10:06:00 GMT", "date: <date>"),
        ("x-request-id: fb5490d9-00d3-4856-9dc9-32ddd7d86442", "x-request-id: <uuid 4>"),
        ("x-envoy-upstream-service-time: 12", "x-envoy-upstream-service-time: <ms>"),
        ("[2026-11-24T10:06:00.482Z] end", "[<time>] end"),
        ("127.0.0.1:4001 and 127.0.0.1:51515", "127.0.0.1:${up} and 127.0.0.1:<port>"),
        ("content-length: 4001x", "content-length: 4001x"),
        ("/tmp/x/log", "${dir}/log"),
        ("mine 77", "mine <n>"),
    ],
)
def test_what_varies_is_replaced(text, normal):
    normaliser = Normaliser({"4001": "up", "/tmp/x": "dir"}, [[r"mine \d+", "mine <n>"]])

    assert normaliser.text(text) == normal


def test_order_is_settled_after_normalising():
    normaliser = Normaliser({"4001": "b", "4002": "a"})

    assert normaliser.tree(Unordered([":4001", ":4002"])) == [":${a}", ":${b}"]
    assert normaliser.tree(Distinct([":4001", ":4002", ":4001"])) == [":${a}", ":${b}"]
    assert normaliser.tree(Cycle(["b", "c", "a"])) == ["a", "b", "c"]


def test_bodies_are_text_lines_or_a_digest():
    normaliser = Normaliser({})

    assert normaliser.tree(b"one") == "one"
    assert normaliser.tree(b"one\ntwo") == ["one", "two"]
    assert normaliser.tree(b"x" * 3000)["bytes"] == 3000


def test_differences_are_found_where_they_are():
    found = differences("c", {"a": [1, 2], "b": "x", "same": 1}, {"a": [1, 3], "c": True, "same": 1})

    assert found == [
        Difference("c", "/a/1", 2, 3),
        Difference("c", "/b", "x", None),
        Difference("c", "/c", None, True),
    ]


def test_lists_of_other_length_and_values_of_other_type_differ():
    assert differences("c", [1], [1, 2]) == [Difference("c", "", [1], [1, 2])]
    assert differences("c", 1, True) == [Difference("c", "", 1, True)]


def test_the_ledger_covers_by_pattern(tmp_path):
    path = tmp_path / "differences.md"
    path.write_text("| case | where | reason |\n| --- | --- | --- |\n| `a/*` | `/steps/*/body` | `because` of it |\n")

    (row,) = known(path)

    assert row == Known("a/*", "/steps/*/body", "`because` of it")
    assert row.covers(Difference("a/b", "/steps/0/body", 1, 2))
    assert not row.covers(Difference("a/b", "/steps/0/status", 1, 2))


async def test_messages_are_read_as_they_stand_fed_one_byte_at_a_time():
    ours, theirs = memory_stream_pair()
    raw = encode("HTTP/1.1 200 OK", [("X-A", "1"), ("x-a", "2")], chunks=["ab", "c"], trailers=[("T", "t")])

    async def feed():
        for byte in raw:
            await theirs.send_all(bytes([byte]))
        await theirs.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed)
        reader = Reader(ours)
        message = await reader.head()
        await reader.body(message, answers="GET")

    assert message.start == "HTTP/1.1 200 OK"
    assert message.headers == [("X-A", "1"), ("x-a", "2"), ("transfer-encoding", "chunked")]
    assert (message.body, message.trailers, message.whole) == (b"abc", [("T", "t")], True)


async def test_a_message_cut_off_is_not_whole():
    ours, theirs = memory_stream_pair()
    await theirs.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab")
    await theirs.aclose()
    reader = Reader(ours)

    message = await reader.head()
    await reader.body(message, answers="GET")

    assert (message.body, message.whole, reader.ended) == (b"ab", False, "closed")


async def test_an_answer_to_head_has_no_body():
    ours, theirs = memory_stream_pair()
    await theirs.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nHTTP/1.1 404 No\r\n\r\n")
    reader = Reader(ours)

    message = await reader.head()
    await reader.body(message, answers="HEAD")
    following = await reader.head()

    assert message.body == b""
    assert following.start == "HTTP/1.1 404 No"


def test_each_row_of_the_ledger_is_about_a_case_or_the_sweep():
    names = ["sweep", *(case.name for case in find())]

    assert [row for row in known() if not any(map(row.is_about, names))] == []
