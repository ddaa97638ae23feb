"""`gleaner serve` as a process, with a client that knows how long it took to answer."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from pipeline.core.params import read_yaml, to_yaml
from pipeline.serving.keys import create_key
from tests.support.promoting import ROOT

START_TIMEOUT = 60.0  # seconds


@dataclass
class Served:
    """A running service; ``seconds`` passed from its start to its first answer."""

    process: "subprocess.Popen[str]"
    client: httpx.Client
    seconds: float
    log: Path

    def workers(self) -> list[int]:
        """The ids of its worker processes."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(word) for word in children.split()]

    def kill_worker(self) -> None:
        """Kill one worker as nothing else could."""
        os.kill(self.workers()[0], signal.SIGKILL)

    def predict(self, *texts: str) -> dict[str, Any]:
        """The answer to a request for these texts."""
        response = self.client.post("/v1/predict", json={"texts": list(texts)})
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def wait_for(self, key: str, value: Any, seconds: float = 20) -> float:
        """Wait until /readyz says so; returns the seconds that it took."""
        began = time.monotonic()
        while (state := self.client.get("/readyz").json())[key] != value:
            assert time.monotonic() - began < seconds, state
            time.sleep(0.02)
        return time.monotonic() - began


def set_serve(root: Path, section: str = "serve", **changes: Any) -> None:
    """Change the section serve, or another one, of a project's params."""
    content = read_yaml(root / "params.yaml")
    values = content[section]
    for key, value in changes.items():
        values[key] = values[key] | value if isinstance(value, dict) else value
    (root / "params.yaml").write_text(to_yaml(content))


@contextmanager
def serving(root: Path, *options: str, scopes: tuple[str, ...] = ("admin",)) -> Iterator[Served]:
    """Run `gleaner serve` in a project for the block, with a key of these scopes; without scopes, with --no-auth."""
    for inbox in ("feedback", "texts"):
        (root / "inbox" / inbox).mkdir(parents=True, exist_ok=True)
    name = f"test-{time.monotonic_ns()}"
    headers = {"Authorization": f"Bearer {create_key(root, name, list(scopes))}"} if scopes else {}
    log = root / "serve.log"
    began = time.monotonic()
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "serve", "--port", "0", *options, *([] if scopes else ["--no-auth"])],
            cwd=root,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    try:
        assert process.stdout
        address = process.stdout.readline().split()
        assert address, log.read_text()
        with httpx.Client(base_url=address[0], headers=headers, timeout=30, trust_env=False) as client:
            while client.get("/readyz").status_code != 200:
                assert time.monotonic() - began < START_TIMEOUT, log.read_text()
                time.sleep(0.02)
            yield Served(process, client, time.monotonic() - began, log)
    finally:
        process.terminate()
        process.wait(30)
        process.communicate()
