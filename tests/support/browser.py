"""Headless Chromium for the tests of pages, controlled over a pipe (the DevTools protocol) without a port or a driver.

It has no network but loopback, because every host name is unknown to it. Each address that a page requests is recorded.
"""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, PROGRAMS)), None)
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here; ./install-system-packages --tests gets it"
)
FLAGS = (
    "--headless",
    "--no-sandbox",  # Chromium refuses to run as root with one, and the pages are trusted
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-pipe",
)
READ, WRITE = 3, 4  # file descriptors at which Chromium expects its pipes
PHONE_WIDTH = 500  # CSS pixels; a narrower window is a phone's


class Browser:
    """One page at a time. Raises RuntimeError with Chromium's message if it refuses a command or ends."""

    def __init__(self, commands: int, answers: int) -> None:
        self.commands, self.answers = commands, os.fdopen(answers, "rb")
        self.buffer, self.last_id = b"", 0
        self.session: str | None = None
        self.requests: list[str] = []  # addresses that the page requested, the page itself first
        self.loaded = False
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self.session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network"):
            self(f"{domain}.enable")

    def __call__(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its result. Events that come before it are recorded."""
        self.last_id += 1
        message = {"id": self.last_id, "method": method, "params": params}
        message |= {"sessionId": self.session} if self.session else {}
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.last_id:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def receive(self) -> dict[str, Any]:
        """The next message. A request and the end of loading are recorded."""
        while b"\0" not in self.buffer:
            chunk = os.read(self.answers.fileno(), 1 << 16)
            if not chunk:
                raise RuntimeError("Chromium ended")
            self.buffer += chunk
        message, _, self.buffer = self.buffer.partition(b"\0")
        content: dict[str, Any] = json.loads(message)
        if content.get("method") == "Network.requestWillBeSent":
            self.requests.append(content["params"]["request"]["url"])
        self.loaded |= content.get("method") == "Page.loadEventFired"
        return content

    def open(self, page: Path | str, width: int = 1280, dark: bool = False, media: str = "screen") -> None:
        """Load a file or an address on loopback at this width, in CSS pixels, and wait until it is loaded."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < PHONE_WIDTH}
        self("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.requests, self.loaded = [], False
        self("Page.navigate", url=page if isinstance(page, str) else page.absolute().as_uri())
        while not self.loaded:
            self.receive()

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        result = self("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def screenshot(self, path: Path | None = None) -> bytes:
        """The whole page as PNG, also written to ``path`` if one is given."""
        image = base64.b64decode(self("Page.captureScreenshot", captureBeyondViewport=True)["data"])
        if path:
            path.write_bytes(image)
        return image

    def pdf(self) -> bytes:
        """The page as it would be printed on A4."""
        paper = {"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": False}
        return base64.b64decode(self("Page.printToPDF", **paper)["data"])


@contextmanager
def browser(home: Path) -> Iterator[Browser]:
    """A browser whose profile is below ``home``; it ends with the block."""
    assert CHROMIUM
    commands, answers = os.pipe(), os.pipe()
    child_ends = (commands[0], answers[1])
    pipes = f'exec "$@" {READ}<&{child_ends[0]} {WRITE}>&{child_ends[1]}'
    process = subprocess.Popen(
        ["bash", "-c", pipes, "bash", CHROMIUM, *FLAGS, f"--user-data-dir={home / 'profile'}"],
        env=os.environ | {"HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=child_ends,
    )
    for end in child_ends:
        os.close(end)
    try:
        yield Browser(commands[1], answers[0])
    finally:
        os.close(commands[1])
        process.terminate()
        process.wait(20)
