"""Headless Chromium for the tests of a page: driven over a pipe (DevTools protocol), every wait bounded."""

from __future__ import annotations

import base64
import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

WAIT_S = 30.0
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--remote-debugging-pipe",
)
KEYS = {"Tab": 9, "Enter": 13}


class Page:
    """One tab with one page; `requests` is what it asked for beside itself, `messages` what its console said."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session = browser, session
        self.requests, self.messages = list[str](), list[str]()
        self._loaded, self._url = False, ""
        browser.pages[session] = self

    def call(self, method: str, **given: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol and return its result."""
        return self._browser.call(method, given, self._session)

    def heard(self, method: str, given: dict[str, Any]) -> None:
        """Note an event."""
        if method == "Network.requestWillBeSent" and given["request"]["url"] != self._url:
            self.requests.append(given["request"]["url"])
        elif method == "Log.entryAdded":
            self.messages.append(given["entry"]["text"])
        elif method == "Runtime.consoleAPICalled":
            self.messages.append(" ".join(str(one.get("value")) for one in given["args"]))
        elif method == "Runtime.exceptionThrown":
            self.messages.append(given["exceptionDetails"]["text"])
        elif method == "Page.loadEventFired":
            self._loaded = True

    def load(self, path: Path) -> None:
        """Load a file, and wait for its load event."""
        self._url = path.as_uri()
        self.call("Page.navigate", url=self._url)
        self._browser.until(lambda: self._loaded, f"{path.name} to load")

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression; the page's own policy does not hold for it."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key."""
        named = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        text = {"text": "\r"} if key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", **named, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **named)

    def screenshot(self) -> bytes:
        """Return the whole page as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def pdf(self) -> bytes:
        """Return the page as it prints."""
        return base64.b64decode(self.call("Page.printToPDF")["data"])


class Browser:
    """A running browser; see `opened`."""

    def __init__(self, process: subprocess.Popen[bytes], send: int, receive: int, log: Path) -> None:
        self._process, self._send, self._receive, self._log = process, send, receive, log
        self._buffer, self._last = b"", 0
        self.answers: dict[int, dict[str, Any]] = {}
        self.pages: dict[str, Page] = {}

    def open(self, path: Path, width: int, height: int = 900, *, dark: bool = False) -> Page:
        """Return a page that was loaded from a file, in a window of that many CSS pixels."""
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        page = Page(self, self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"])
        for domain in ("Page", "Network", "Log", "Runtime"):
            page.call(f"{domain}.enable")
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.call("Emulation.setEmulatedMedia", features=[scheme])
        page.load(path)
        return page

    def call(self, method: str, given: dict[str, Any], session: str = "") -> dict[str, Any]:
        """Send a command and return its result."""
        self._last += 1
        number = self._last
        command = {"id": number, "method": method, "params": given} | ({"sessionId": session} if session else {})
        os.write(self._send, json.dumps(command).encode() + b"\0")
        self.until(lambda: number in self.answers, method)
        answer = self.answers.pop(number)
        assert "error" not in answer, (method, answer["error"])
        result: dict[str, Any] = answer["result"]
        return result

    def until(self, done: Callable[[], bool], what: str) -> None:
        """Read what the browser says until `done`."""
        end = time.monotonic() + WAIT_S
        while not done():
            if self._process.poll() is not None or not self._more(end - time.monotonic()):
                raise AssertionError(f"the browser gave no answer to {what}: {self._log.read_text()[-2000:]}")

    def _more(self, wait_s: float) -> bool:
        if wait_s <= 0 or not select.select([self._receive], [], [], wait_s)[0]:
            return False
        self._buffer += os.read(self._receive, 1 << 20)
        *whole, self._buffer = self._buffer.split(b"\0")
        for message in map(json.loads, whole):
            if "id" in message:
                self.answers[message["id"]] = message
            elif page := self.pages.get(message.get("sessionId", "")):
                page.heard(message["method"], message["params"])
        return True


@contextmanager
def opened() -> Iterator[Browser]:
    """Yield a browser with a profile of its own; it and all its processes are gone afterwards."""
    to_child, send = os.pipe()
    receive, from_child = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        log = Path(profile) / "stderr.txt"
        # its shell moves the pipe's ends to 3 and 4, where Chromium expects them
        script = f'exec chromium "$@" 3<&{to_child} 4>&{from_child}'
        with log.open("wb") as errors:
            process = subprocess.Popen(
                ["bash", "-c", script, "chromium", *FLAGS, f"--user-data-dir={profile}/data", "about:blank"],
                pass_fds=(to_child, from_child),
                stdout=errors,
                stderr=errors,
                start_new_session=True,
                env=os.environ | {"HOME": profile},
            )
        os.close(to_child)
        os.close(from_child)
        try:
            yield Browser(process, send, receive, log)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
            os.close(send)
            os.close(receive)
