import json

import pytest


def layered(admin, *layers):
    return f"{{admin: {{{admin.address}}}, layered_runtime: {{layers: [{', '.join(layers)}]}}}}"


STATIC = "{name: base, static_layer: {foo: 1, bar: text}}"
ADMIN = "{name: ours, admin_layer: {}}"


async def values(live):
    return json.loads((await live.get("/runtime")).text)


async def test_every_layer_and_what_comes_of_it(admin):
    async with admin.serving(layered(admin, STATIC, ADMIN)) as live:
        await live.post("/runtime_modify?foo=2&baz=3")

        assert await values(live) == {
            "layers": ["base", "ours"],
            "entries": {
                "bar": {"final_value": "text", "layer_values": ["text", ""]},
                "baz": {"final_value": "3", "layer_values": ["", "3"]},
                "foo": {"final_value": "2", "layer_values": ["1", "2"]},
            },
        }


async def test_an_empty_value_removes_the_override(admin):
    async with admin.serving(layered(admin, STATIC, ADMIN)) as live:
        await live.post("/runtime_modify?foo=2")
        await live.post("/runtime_modify?foo=")

        assert (await values(live))["entries"]["foo"] == {"final_value": "1", "layer_values": ["1", ""]}


async def test_parameters_may_come_as_a_form(admin):
    async with admin.serving(layered(admin, ADMIN)) as live:
        answer = await live.post("/runtime_modify", form={"foo": "2"})

        assert answer.text == "OK\n"
        assert (await values(live))["entries"]["foo"]["final_value"] == "2"


async def test_the_form_of_the_home_page_names_the_key_in_a_field(admin):
    async with admin.serving(layered(admin, STATIC, ADMIN)) as live:
        await live.post("/runtime_modify", form={":key": "foo", ":value": "9"})
        assert (await values(live))["entries"]["foo"]["final_value"] == "9"

        await live.post("/runtime_modify", form={":key": "foo", ":value": ""})
        assert (await values(live))["entries"]["foo"]["final_value"] == "1"
        assert (await live.post("/runtime_modify", form={":key": "", ":value": "1"})).status == 400


async def test_without_parameters_it_tells_its_usage(admin):
    async with admin.serving(layered(admin, ADMIN)) as live:
        answer = await live.post("/runtime_modify")

    assert answer.status == 400
    assert answer.text.startswith("usage: /runtime_modify?key1=value1")


@pytest.mark.parametrize("layers", [[STATIC]])
async def test_without_an_admin_layer_nothing_can_be_changed(admin, layers):
    async with admin.serving(layered(admin, *layers)) as live:
        answer = await live.post("/runtime_modify?foo=2")

    assert (answer.status, answer.text) == (503, "No admin layer specified")
