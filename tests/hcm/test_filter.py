"""The rules of the filter chain."""

import pytest

from tests.fakes import a_chain, a_route, a_stream, headers
from trio_envoy.hcm.filter import HttpFilter, TerminalFilter
from trio_envoy.http.message import LocalReply, Response
from trio_envoy.routing.overrides import Override, Overrides

REFUSED = LocalReply(403, b"no", details="refused")


class Trace(HttpFilter):
    """Leaves its name in the request on the way up, in the response on the way down."""

    def __init__(self, name, decoded=None, encoded=None):
        self.name = name.encode()
        self.decoded = decoded
        self.encoded = encoded

    async def decode(self, stream):
        stream.request.headers.add(b"up", self.name)
        return self.decoded

    async def encode(self, stream):
        stream.response.headers.add(b"down", self.name)
        return self.encoded


class PerRoute(HttpFilter):
    """Answers with what the route says."""

    def __init__(self, reply=None):
        self.reply = reply
        self.made = []

    async def decode(self, stream):
        return self.reply

    def for_route(self, configs):
        self.made.append(configs)
        return None if configs[-1] is None else PerRoute(configs[-1])


class Reroute(HttpFilter):
    def __init__(self, route):
        self.route = route

    async def decode(self, stream):
        stream.route = self.route


def passed(stream, response):
    return stream.request.headers.get_all(b"up"), response.headers.get_all(b"down")


def overriding(name, *configs, disabled=None):
    return a_route(overrides=Overrides({name: Override(disabled, configs)}))


async def test_decoders_run_in_order_and_encoders_in_reverse():
    stream = a_stream()

    response = await a_chain(("a", Trace("a")), ("b", Trace("b"))).run(stream)

    assert passed(stream, response) == ([b"a", b"b"], [b"b", b"a"])
    assert stream.response is response


async def test_a_local_reply_of_a_decoder_is_seen_by_every_encoder():
    stream = a_stream()

    response = await a_chain(("a", Trace("a", decoded=REFUSED)), ("b", Trace("b"))).run(stream)

    assert response.status == 403
    assert passed(stream, response) == ([b"a"], [b"b", b"a"])
    assert stream.info.details == "refused"


async def test_a_local_reply_of_an_encoder_goes_straight_to_the_codec():
    stream = a_stream()

    response = await a_chain(("a", Trace("a")), ("b", Trace("b", encoded=REFUSED))).run(stream)

    assert response.status == 403
    assert passed(stream, response) == ([b"a", b"b"], [])


async def test_an_answer_that_came_from_elsewhere_takes_the_way_down():
    stream = a_stream()
    chain = a_chain(("a", Trace("a")))

    from_reply = await chain.encode(stream, REFUSED)
    from_response = await chain.encode(stream, Response(200, headers()))

    assert (from_reply.status, from_reply.headers.get(b"down")) == (403, b"a")
    assert (from_response.status, from_response.headers.get(b"down")) == (200, b"a")


async def test_an_encoder_may_put_another_response_in_its_place():
    class Replace(HttpFilter):
        async def encode(self, stream):
            stream.response = Response(299, headers())

    assert (await a_chain(("a", Replace())).run(a_stream())).status == 299


@pytest.mark.parametrize("reply", [LocalReply(503), Response(200, headers())])
async def test_without_filters_the_terminal_alone_answers(reply):
    async def terminal(stream):
        return reply

    stream = a_stream()

    response = await a_chain(terminal=terminal).run(stream)

    assert response.status == reply.status
    assert stream.response is response


@pytest.mark.parametrize(
    ("configs", "status", "seen"),
    [
        ((), 200, []),
        ((REFUSED,), 403, [(REFUSED,)]),
        ((REFUSED, None), 200, [(REFUSED, None)]),
    ],
)
async def test_routes_settle_how_a_filter_is_set(configs, status, seen):
    one = PerRoute()

    response = await a_chain(("p", one)).run(a_stream(route=overriding("p", *configs)))

    assert response.status == status
    assert one.made == seen


async def test_the_filter_of_a_route_is_made_once():
    one, route = PerRoute(), overriding("p", REFUSED)
    chain = a_chain(("p", one))

    for _ in range(3):
        await chain.run(a_stream(route=route))

    assert len(one.made) == 1


@pytest.mark.parametrize(
    ("off_by_default", "said", "runs"),
    [(False, None, True), (True, None, False), (True, False, True), (False, True, False)],
)
async def test_filters_are_off_by_default_or_by_route(off_by_default, said, runs):
    stream = a_stream(route=overriding("a", disabled=said))

    await a_chain(("a", Trace("a")), disabled=off_by_default).run(stream)

    assert (b"up" in stream.request.headers) is runs


async def test_another_route_changes_the_filters_behind_the_one_that_chose_it():
    before, behind = PerRoute(), PerRoute()
    other = a_route(overrides=Overrides({"p": Override(None, (REFUSED,)), "q": Override(None, (LocalReply(410),))}))
    chain = a_chain(("p", before), ("reroute", Reroute(other)), ("q", behind), ("last", Trace("last")))
    stream = a_stream(route=a_route())

    response = await chain.run(stream)

    assert response.status == 410
    assert b"up" not in stream.request.headers


async def test_another_route_does_not_turn_filters_on_or_off():
    chain = a_chain(("reroute", Reroute(overriding("a", disabled=True))), ("a", Trace("a")))
    stream = a_stream(route=a_route())

    await chain.run(stream)

    assert stream.request.headers.get_all(b"up") == [b"a"]


async def test_hooks_that_nobody_wrote_are_not_called():
    class Silent(HttpFilter):
        pass

    assert (await a_chain(("s", Silent())).run(a_stream())).status == 200
    assert await Silent().decode(a_stream()) is None
    assert await Silent().encode(a_stream()) is None


def test_a_filter_without_per_route_config_says_so():
    with pytest.raises(NotImplementedError, match="Trace takes no per-route config"):
        Trace("a").for_route(())


async def test_a_terminal_filter_must_answer():
    with pytest.raises(NotImplementedError):
        await TerminalFilter().answer(a_stream())
