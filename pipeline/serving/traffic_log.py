"""Keeps what passes through a worker: requests only append to a list, and a thread of its own writes the files.

A worker that is killed loses what it had not written yet, ``monitor.keep.seconds_per_file`` at most. A disk that takes
nothing costs rows, which are counted, and no answer.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from pipeline.core.params import Monitor
from pipeline.core.printable import print_note
from pipeline.serving import metrics
from pipeline.serving.text_numbers import find_secret
from pipeline.serving.traffic_files import (
    ANSWERS,
    FEEDBACK,
    AnsweredTexts,
    GivenLabel,
    answers_table,
    feedback_table,
    remove_old,
    write_table,
)

FILES_WAITING = 4  # files whose rows may wait for the disk; what comes beyond is lost
REMOVE_SECONDS = 600.0  # between two looks for files that are too old


class TrafficLog:
    """What one worker keeps; `add` and `add_label` never wait. Without a folder nothing is kept."""

    def __init__(self, folder: Path | None, settings: Monitor) -> None:
        self.folder, self.settings = folder, settings
        self.answers: list[AnsweredTexts] = []
        self.given: list[GivenLabel] = []
        self.rows = 0
        self.full, self.ended = threading.Event(), threading.Event()
        self.lock = threading.Lock()  # held for an append or a swap of lists only
        self.thread: threading.Thread | None = None
        self.removed_at = float("-inf")
        self.fault = ""

    @cached_property
    def secret(self) -> bytes:
        """What makes the numbers of texts, for all workers of a folder; empty where nothing is kept."""
        return b"" if self.folder is None else find_secret(self.folder)

    def start(self) -> None:
        """Begin to write."""
        if self.folder is not None:
            self.thread = threading.Thread(target=self.run, name="traffic", daemon=True)
            self.thread.start()

    def stop(self) -> None:
        """Write what is left, and end."""
        self.ended.set()
        self.full.set()
        if self.thread is not None:
            self.thread.join()

    def add(self, answered: AnsweredTexts) -> None:
        """Keep the answers to one request."""
        if self.folder is None:
            return
        with self.lock:
            if self.rows >= FILES_WAITING * self.settings.keep.rows_per_file:
                metrics.TRAFFIC_LOST.inc(len(answered.ids))
                return
            self.answers.append(answered)
            self.rows += len(answered.ids)
            if self.rows >= self.settings.keep.rows_per_file:
                self.full.set()

    def add_label(self, given: GivenLabel) -> None:
        """Keep the right label of a prediction; it is in the inbox, too, with its text."""
        if self.folder is not None:
            with self.lock:
                self.given.append(given)

    def run(self) -> None:
        """Write what has gathered, again and again, until `stop`."""
        while not self.ended.is_set():
            self.full.wait(self.settings.keep.seconds_per_file)
            self.full.clear()
            self.write()
        self.write()  # what came during the last one

    def write(self) -> None:
        """Write what has gathered, and remove what is too old."""
        assert self.folder is not None
        with self.lock:
            answers, given, self.answers, self.given, self.rows = self.answers, self.given, [], [], 0
        by_version: dict[tuple[str, int], list[AnsweredTexts]] = defaultdict(list)
        for one in answers:
            by_version[one.digest, one.vectors.shape[1]].append(one)
        for group in by_version.values():
            self.write_answers(self.folder, group)
        with self.noting_faults():
            if given:
                write_table(self.folder, FEEDBACK, feedback_table(given))
        with self.noting_faults():
            if time.monotonic() - self.removed_at > REMOVE_SECONDS:
                self.removed_at = time.monotonic()
                remove_old(self.folder, self.settings.keep.days, self.settings.keep.megabytes)

    def write_answers(self, folder: Path, answers: list[AnsweredTexts]) -> None:
        """Write a file with the answers of one version, and count them as kept or lost."""
        counter = metrics.TRAFFIC_LOST
        with self.noting_faults():
            write_table(folder, ANSWERS, answers_table(answers))
            counter, self.fault = metrics.TRAFFIC_ROWS, ""
        counter.inc(sum(len(one.ids) for one in answers))

    @contextmanager
    def noting_faults(self) -> Iterator[None]:
        """Let an error end the block only, and print its kind once: its message may quote a label."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  what is kept of traffic is no reason to end a worker
            fault = type(error).__name__
            if fault != self.fault:
                print_note(f"serve: expected to write to {self.folder}, found {fault}; traffic is not kept")
            self.fault = fault
