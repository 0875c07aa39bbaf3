"""Headless Chromium, driven over its debugging pipe: pages are loaded, read and clicked as people do.

No driver is installed for it: the protocol is JSON ended by zero bytes on file descriptors 3 and 4.
"""

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile

import pytest
import trio

EXECUTABLE = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(EXECUTABLE is None or sys.platform == "win32", reason="chromium is not installed")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
_LAUNCH = "import os, sys; [os.dup2(int(sys.argv[n]), n + 2) for n in (1, 2)]; os.execv(sys.argv[3], sys.argv[3:])"
_LIMIT = 20.0  # s for any one step


class BrowserError(Exception):
    """A command failed, or a script on the page threw."""


class Page:
    """One tab.

    Attributes:
        faults: what the page logged: script errors, what its policy refused.
    """

    def __init__(self, send, receive):
        self._send = send
        self._receive = receive
        self._pending = b""
        self._numbers = itertools.count(1)
        self._session = None
        self.faults = []

    async def command(self, method, **params):
        """One command of the protocol; its result. Events that come meanwhile are noted."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        with trio.fail_after(_LIMIT):
            await self._send.send_all(json.dumps(message).encode() + b"\0")
            while True:
                answer = await self._next()
                if answer.get("id") == number:
                    if "error" in answer:
                        raise BrowserError(f"{method}: {answer['error']}")
                    return answer["result"]
                self._note(answer)

    async def _next(self):
        while b"\0" not in self._pending:
            data = await self._receive.receive_some()
            if not data:
                raise BrowserError("the browser has ended")
            self._pending += data
        message, _, self._pending = self._pending.partition(b"\0")
        return json.loads(message)

    def _note(self, event):
        if event.get("method") == "Runtime.exceptionThrown":
            self.faults.append(event["params"]["exceptionDetails"]["text"])
        elif event.get("method") == "Log.entryAdded":
            entry = event["params"]["entry"]
            if entry["level"] == "error" and entry["source"] != "network":  # a 503 is an answer like others
                self.faults.append(entry["text"])

    async def attach(self):
        """Make the tab."""
        target = (await self.command("Target.createTarget", url="about:blank"))["targetId"]
        self._session = (await self.command("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            await self.command(f"{domain}.enable")

    async def open(self, url):
        """Load a page and wait until it is complete."""
        result = await self.command("Page.navigate", url=url)
        if "errorText" in result:
            raise BrowserError(f"{url}: {result['errorText']}")
        await self.until(f"location.href.startsWith({json.dumps(url)}) && document.readyState === 'complete'")

    async def eval(self, script):
        """The value of an expression on the page; promises are waited for."""
        result = await self.command("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise BrowserError(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    async def until(self, script):
        """Wait until an expression is true; gives its value."""
        with trio.move_on_after(_LIMIT):
            while True:
                with contextlib.suppress(BrowserError):  # the page is being replaced
                    if value := await self.eval(script):
                        return value
                await trio.sleep(0.05)
        raise BrowserError(f"never became true: {script}")

    async def look(self, *, width=1200, height=1000, dark=False, scripts=True):
        """Size of the window, colours, and whether scripts run."""
        await self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.command("Emulation.setEmulatedMedia", features=[scheme])
        await self.command("Emulation.setScriptExecutionDisabled", value=not scripts)

    async def shot(self, path):
        """A picture of the window as PNG."""
        data = (await self.command("Page.captureScreenshot", captureBeyondViewport=True))["data"]
        with open(path, "wb") as file:  # noqa: ASYNC230 - for people who look at it
            file.write(base64.b64decode(data))


@contextlib.asynccontextmanager
async def chromium():
    """A tab of a fresh browser that knows nobody; closed at the end."""
    to_browser, our_send = os.pipe()
    our_receive, from_browser = os.pipe()
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        process = await trio.lowlevel.open_process(
            [
                sys.executable,
                "-c",
                _LAUNCH,
                str(to_browser),
                str(from_browser),
                EXECUTABLE,
                *_FLAGS,
                f"--user-data-dir={profile}",
                "about:blank",
            ],
            pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        send, receive = trio.lowlevel.FdStream(our_send), trio.lowlevel.FdStream(our_receive)
        page = Page(send, receive)
        try:
            await page.attach()
            yield page
        finally:
            with trio.CancelScope(shield=True):
                with trio.move_on_after(5):
                    with contextlib.suppress(BrowserError, trio.BrokenResourceError, trio.TooSlowError):
                        page._session = None
                        await page.command("Browser.close")
                    await process.wait()
                if process.returncode is None:
                    process.kill()
                    await process.wait()
                await send.aclose()
                await receive.aclose()
