"""Functions made of expressions."""

from tests.messages import a_context, a_request, a_response
from trio_envoy.formatter.inline import Function, Inline


def test_expressions_and_getters_fill_a_template():
    function = Function()
    for source in (
        Inline("fields.get({name})", {"name": b"x-a"}),
        Inline("answered.get({name})", {"name": b"x-a"}),
        Inline("info.status"),
        Inline("{double}(info.status)", {"double": lambda status: 2 * status}),
        lambda context: context.info.route_name,
    ):
        function.fill(function.value_of(source))

    filled = function.build("%s %s %s %s %s")

    context = a_context(a_request("/", ("x-a", "1")), a_response(200, ("x-a", "2")), status=204, route_name="r")
    assert filled(context) == "b'1' b'2' 204 408 r"


def test_what_is_not_there_is_empty():
    function = Function()
    everything = "(request.method, request.path, fields, response.status, answered)"

    assert function.returning(everything)(a_context()) == (b"", b"", {}, 0, {})


def test_values_are_bound_not_written():
    function = Function()
    nasty = "'); import os  # {x}"

    assert function.returning(function.value_of(Inline("{v}", {"v": nasty})))(a_context()) == nasty


def test_a_template_without_holes():
    assert Function().build(b"100%%")(a_context()) == b"100%"
