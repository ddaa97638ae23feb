"""Clients of a service that ask and correct, and check each answer against the version that it names."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support.promoting import LABELS, words
from tests.support.service_process import Served

ROWS = 400  # test rows of a project of `start_project`


@dataclass
class Load:
    """What clients saw. Each registered version is right on its first rows, ``right``, by its number."""

    right: Mapping[str, int]
    wrong: list[str] = field(default_factory=list)
    confirmed: list[str] = field(default_factory=list)  # texts of corrections that were answered by 200
    answers: Counter[str] = field(default_factory=Counter)  # by version
    broken: int = 0  # requests whose connection broke
    seconds: list[float] = field(default_factory=list)  # to each answer of /v1/predict

    def lost(self, root: Path) -> set[str]:
        """The texts of confirmed corrections that are not in the project's inbox."""
        files = (root / "inbox" / "feedback").glob("*.jsonl")
        return set(self.confirmed) - {json.loads(path.read_text())["text"] for path in files}

    def ask(self, served: Served, stop: threading.Event, number: int, pause: float) -> None:
        """Ask and correct until told to stop; an answer that the version it names would not give is wrong.

        A request that a killed worker had in hand is sent again, as a client does. Names of texts are of this client's
        ``number``, so that each correction is one of a kind.
        """
        texts = words("t", ROWS)
        turn = 0
        with httpx.Client(base_url=served.client.base_url, headers=served.client.headers, timeout=30) as client:
            while not stop.wait(pause):
                row = (turn * 37 + number) % ROWS
                text = f"{texts[row]} n{number}x{turn}"
                label = LABELS[row % 2]
                try:
                    began = time.perf_counter()
                    answer = client.post("/v1/predict", json={"texts": [texts[row]]})
                    self.seconds.append(time.perf_counter() - began)
                    stored = client.post("/v1/feedback", json={"text": text, "label": label})
                except httpx.TransportError:
                    self.broken += 1
                    continue
                turn += 1
                self.check(answer, stored, row, label)
                if stored.status_code == 200:
                    self.confirmed.append(text)

    def check(self, answer: httpx.Response, stored: httpx.Response, row: int, label: str) -> None:
        """Note what is wrong with the answers to the text of a row, whose right label is ``label``."""
        if answer.status_code != 200 or stored.status_code != 200:
            self.wrong.append(f"{answer.status_code} {stored.status_code}")
            return
        version, (prediction,) = answer.json()["version"], answer.json()["predictions"]
        self.answers[version] += 1
        if version not in self.right or (prediction["label"] == label) != (row < self.right[version]):
            self.wrong.append(f"version {version}, row {row}")


@contextmanager
def under_load(served: Served, load: Load, clients: int = 4, pause: float = 0.0) -> Iterator[None]:
    """Let clients ask during the block, each ``pause`` seconds after its last answer."""
    stop = threading.Event()
    threads = [threading.Thread(target=load.ask, args=[served, stop, number, pause]) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
