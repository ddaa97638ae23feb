"""Headless Chromium for the tests of pages, spoken to over a pipe (the DevTools protocol): no port, no driver.

It can reach nothing: every host name is unknown to it, and each address that a page asks for is written down.
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

NAMES = ("chromium-headless-shell", "chromium", "google-chrome")
FOUND = next(filter(None, map(shutil.which, NAMES)), None)
needs_browser = pytest.mark.skipif(FOUND is None, reason="no Chromium here; ./install-system-packages --tests gets it")
FLAGS = (
    "--headless",
    "--no-sandbox",  # which root may not have; the pages are our own
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)
READ, WRITE = 3, 4  # where Chromium expects the ends of its pipes
MOBILE = 500  # widths below are a phone's


class Browser:
    """One page at a time. Raises RuntimeError with what Chromium says when it refuses a command."""

    def __init__(self, to: int, back: int) -> None:
        self.to, self.back = to, os.fdopen(back, "rb")
        self.rest, self.number = b"", 0
        self.session: str | None = None
        self.asked: list[str] = []  # addresses that the page asked for, its own first
        self.loaded = False
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self.session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network"):
            self(f"{domain}.enable")

    def __call__(self, method: str, **params: Any) -> dict[str, Any]:
        """Give a command and wait for its result; what happens meanwhile is noted."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        message |= {"sessionId": self.session} if self.session else {}
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.note()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def note(self) -> dict[str, Any]:
        """The next message, after a look at whether it tells of a request or of the page being there."""
        while b"\0" not in self.rest:
            part = os.read(self.back.fileno(), 1 << 16)
            if not part:
                raise RuntimeError("Chromium ended")
            self.rest += part
        message, _, self.rest = self.rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        if found.get("method") == "Network.requestWillBeSent":
            self.asked.append(found["params"]["request"]["url"])
        self.loaded |= found.get("method") == "Page.loadEventFired"
        return found

    def open(self, page: Path, width: int = 1280, dark: bool = False, media: str = "screen") -> None:
        """Load a file at this width, in CSS pixels, and wait until all of it is there."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < MOBILE}
        self("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.asked, self.loaded = [], False
        self("Page.navigate", url=page.absolute().as_uri())
        while not self.loaded:
            self.note()

    def tell(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        result = self("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def screenshot(self, path: Path | None = None) -> bytes:
        """The whole page as PNG, written to a file where one is named."""
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
    """A browser for the length of the block, whose profile is below ``home``."""
    assert FOUND
    commands, answers = os.pipe(), os.pipe()
    theirs = (commands[0], answers[1])
    pipes = f'exec "$@" {READ}<&{theirs[0]} {WRITE}>&{theirs[1]}'
    process = subprocess.Popen(
        ["bash", "-c", pipes, "bash", FOUND, *FLAGS, f"--user-data-dir={home / 'profile'}"],
        env=os.environ | {"HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=theirs,
    )
    for end in theirs:
        os.close(end)
    try:
        yield Browser(commands[1], answers[0])
    finally:
        os.close(commands[1])
        process.terminate()
        process.wait(20)
