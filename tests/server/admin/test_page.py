"""The home page: what it holds without a browser, and what people do with it in one."""

import itertools
import re
from html.parser import HTMLParser

import pytest

from tests.browser import chromium, needs_chromium
from trio_envoy.server.admin import page

VOID = {"meta", "link", "input", "option", "br"}


class Outline(HTMLParser):
    """Checks that tags are balanced and collects what the tests ask for."""

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.forms, self.fields = [], [], [], []
        self.feed(text)
        assert self.open == [], self.open

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "a":
            self.links.append(attributes["href"])
        elif tag == "form":
            self.forms.append((attributes["method"], attributes["action"]))
        elif tag in {"input", "select"} and "name" in attributes:
            self.fields.append((self.forms[-1][1], attributes["name"]))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag, tag


def everything(admin):
    return (
        f"{{admin: {{{admin.address}}}, node: {{id: <node>, cluster: c}}, "
        "layered_runtime: {layers: [{name: a, static_layer: {foo: 1}}, {name: b, admin_layer: {}}]}, "
        f"static_resources: {{listeners: [{admin.listener('one')}], clusters: [{admin.cluster('c<1>', 1, 2)}]}}}}"
    )


async def test_every_endpoint_is_there_with_its_parameters(admin):
    async with admin.serving(everything(admin)) as live:
        outline = Outline((await live.get("/")).text)
        rows = live.server.admin.app.endpoints

    assert sorted(outline.links) == sorted(row.path[1:] for row in rows if not row.mutates and row.path != "/")
    posts = sorted(action for method, action in outline.forms if method == "post")
    assert posts == sorted(row.path[1:] for row in rows if row.mutates)
    asked = {(row.path[1:], field.name) for row in rows for field in (*row.params, *row.form)}
    assert set(outline.fields) == asked


async def test_a_link_never_changes_anything(admin):
    async with admin.serving(everything(admin)) as live:
        outline = Outline((await live.get("/")).text)
        mutating = {row.path[1:] for row in live.server.admin.app.endpoints if row.mutates}

    assert not mutating & set(outline.links)
    assert not mutating & {action for method, action in outline.forms if method == "get"}


async def test_names_of_the_configuration_can_not_break_out(admin):
    async with admin.serving(everything(admin)) as live:
        text = (await live.get("/")).text

    assert "<node>" not in text
    assert "&lt;node&gt;" in text
    assert '<option value="c&lt;1&gt;">' in text


async def test_nothing_comes_from_elsewhere_and_nothing_else_runs(admin):
    async with admin.serving(everything(admin)) as live:
        answer = await live.get("/")

    assert not re.findall(r"(?:src|href)=['\"](?:https?:)?//", answer.text)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert answer.headers["x-frame-options"] == "DENY"


async def test_it_shows_how_the_server_is(admin):
    async with admin.serving(everything(admin)) as live:
        live.server.started_wall -= 3700
        text = (await live.get("/")).text
        live.server.services.health_failed = True
        draining = (await live.get("/")).text

    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", text))
    assert facts["Uptime"] == "1 h 1 min"
    assert (facts["Listeners"], facts["Clusters"], facts["Healthy hosts"]) == ("1", "1", "2 of 2")
    assert "data-state='LIVE'>LIVE<" in text
    assert "data-state='DRAINING'>DRAINING<" in draining


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min 0 s"), (3600, "1 h 0 min"), (90061, "1 d 1 h")],
)
def test_durations(seconds, text):
    assert page._duration(seconds) == text


@needs_chromium
async def test_people_search_and_read_answers_in_place(admin):
    async with admin.serving(everything(admin)) as live, chromium() as tab:
        await tab.open(f"http://127.0.0.1:{live.port}/")
        visible = (
            "[...document.querySelectorAll('.row')].filter(row => row.offsetParent)"
            ".map(row => row.innerText.split('\\n')[0])"
        )
        assert len(await tab.eval(visible)) == len(live.server.admin.app.endpoints) - 1

        await tab.eval("search.value = 'usedonly prom'; search.dispatchEvent(new Event('input'))")
        assert await tab.eval(visible) == ["/stats/prometheus"]
        await tab.eval("search.value = 'no such thing'; search.dispatchEvent(new Event('input'))")
        assert await tab.eval("document.getElementById('nothing').offsetParent !== null")
        await tab.eval("search.value = ''; search.dispatchEvent(new Event('input'))")

        await tab.eval("document.querySelector('a[href=clusters]').click()")
        await tab.until("document.querySelector('.result .status')?.textContent === '200 OK'")
        assert "c<1>::observability_name::c<1>" in await tab.eval("document.querySelector('.result pre').textContent")
        await tab.eval(
            "f = document.querySelector('.result input'); f.value = 'max_retries'; f.dispatchEvent(new Event('input'))"
        )
        shown = await tab.eval("document.querySelector('.result pre').textContent")
        assert shown == "c<1>::default_priority::max_retries::3\nc<1>::high_priority::max_retries::3"
        assert tab.faults == []


@needs_chromium
async def test_forms_post_and_the_state_follows(admin):
    async with admin.serving(everything(admin)) as live, chromium() as tab:
        await tab.open(f"http://127.0.0.1:{live.port}/")

        form = "document.querySelector('form[action=runtime_modify]')"
        await tab.eval(f"{form}.elements[':key'].value = 'foo'; {form}.elements[':value'].value = '7'")
        await tab.eval(f"{form}.requestSubmit()")
        await tab.until("document.querySelector('.result .status')?.textContent === '200 OK'")
        assert live.server.services.runtime.snapshot.entries["foo"].text == "7"

        await tab.eval("document.querySelector('form[action=\"healthcheck/fail\"]').requestSubmit()")
        await tab.until("document.getElementById('state').textContent === 'DRAINING'")
        assert live.server.services.health_failed

        await tab.eval("document.querySelector('form[action=\"healthcheck/ok\"] button').click()")
        await tab.until("document.getElementById('state').textContent === 'LIVE'")
        assert tab.faults == []


@needs_chromium
async def test_it_works_without_scripts(admin):
    async with admin.serving(everything(admin)) as live, chromium() as tab:
        await tab.look(scripts=False)
        home = f"http://127.0.0.1:{live.port}/"
        await tab.open(home)
        assert await tab.eval("document.querySelector('.find').hidden")

        form = "document.querySelector('form[action=runtime_modify]')"
        await tab.eval(f"{form}.elements[':key'].value = 'foo'; {form}.elements[':value'].value = '8'; {form}.submit()")
        await tab.until("location.pathname === '/runtime_modify' && document.body.innerText === 'OK\\n'")
        assert live.server.services.runtime.snapshot.entries["foo"].text == "8"

        await tab.open(home)
        await tab.eval("document.querySelector('a[href=server_info]').click()")
        await tab.until("location.pathname === '/server_info' && document.body.innerText.includes('LIVE')")


@needs_chromium
async def test_it_fits_the_window_in_both_schemes(admin):
    async with admin.serving(everything(admin)) as live, chromium() as tab:
        for width, dark in itertools.product((360, 800, 1600), (False, True)):
            await tab.look(width=width, dark=dark)
            await tab.open(f"http://127.0.0.1:{live.port}/?{width}{dark}")
            await tab.eval("document.querySelectorAll('details').forEach(one => { one.open = true; })")

            assert await tab.eval("document.documentElement.scrollWidth <= innerWidth")
            marker = "getComputedStyle(document.querySelector('details > summary'), '::before').content"
            assert await tab.eval(marker) == '"▾"'
            ink, paper = await tab.eval(
                "(s => [s.color, s.backgroundColor])(getComputedStyle(document.body))"
                ".map(color => color.match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + +part, 0))"
            )
            assert (ink > paper) is dark
            assert abs(ink - paper) > 300
