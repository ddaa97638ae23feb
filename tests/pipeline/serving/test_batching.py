"""Batches: texts of several requests together, a bounded queue, deadlines, and a drained end."""

import asyncio
import threading
from typing import Any

import numpy as np
import pytest

from pipeline.serving.batching import Batcher
from pipeline.serving.errors import ApiError


class Counting:
    """A version whose answer to a text is its length; ``go`` lets it compute."""

    labels = ("length",)

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.go = threading.Event()
        self.go.set()

    def tokenise(self, texts: list[str]) -> list[np.ndarray]:
        return [np.zeros(len(text), dtype=np.int64) for text in texts]

    def probabilities(self, tokens: list[np.ndarray]) -> np.ndarray:
        self.go.wait(10)
        self.batches.append(len(tokens))
        return np.array([[len(ids)] for ids in tokens], dtype=np.float32)


def run(test: Any) -> None:
    """Run a coroutine function."""
    asyncio.run(test())


def test_requests_share_batches_and_each_gets_its_own_rows() -> None:
    async def test() -> None:
        batcher, version = Batcher(1000, 0.05, 100, 1), Counting()
        batcher.start()
        asked = [batcher.compute(version, ["a" * (i + 1), "bb"], 5) for i in range(10)]  # type: ignore[arg-type]
        answers = await asyncio.gather(*asked)
        assert [answer[:, 0].tolist() for answer in answers] == [[i + 1, 2] for i in range(10)]
        assert version.batches == [20]
        await batcher.stop()

    run(test)


def test_a_batch_has_no_more_tokens_than_asked_but_always_one_text() -> None:
    async def test() -> None:
        batcher, version = Batcher(64, 0.0, 100, 1), Counting()
        batcher.start()
        answer = await batcher.compute(version, ["a" * 30] * 5 + ["b" * 500], 5)  # type: ignore[arg-type]
        assert answer[:, 0].tolist() == [30] * 5 + [500]
        assert version.batches == [2, 2, 1, 1]
        await batcher.stop()

    run(test)


def test_a_full_queue_refuses_and_a_late_answer_is_told() -> None:
    async def test() -> None:
        batcher, version = Batcher(64, 0.0, 3, 1), Counting()
        version.go.clear()
        batcher.start()
        first = asyncio.create_task(batcher.compute(version, ["a" * 64], 5))  # type: ignore[arg-type]
        await asyncio.sleep(0.05)
        late = asyncio.create_task(batcher.compute(version, ["b"] * 3, 0.05))  # type: ignore[arg-type]
        await asyncio.sleep(0.01)
        with pytest.raises(ApiError) as refused:
            await batcher.compute(version, ["c"], 5)  # type: ignore[arg-type]
        assert refused.value.status == 429 and refused.value.response().headers["Retry-After"]
        with pytest.raises(ApiError) as lapsed:
            await late
        assert lapsed.value.status == 504
        version.go.set()
        assert (await first).tolist() == [[64]]
        await batcher.stop()
        assert version.batches == [1]  # nobody waits for the late ones any more

    run(test)


def test_what_is_queued_is_answered_before_the_end_and_versions_never_mix() -> None:
    async def test() -> None:
        batcher, one, other = Batcher(1000, 0.0, 100, 1), Counting(), Counting()
        batcher.start()
        versions = [one, one, other, one]
        asked = [asyncio.create_task(batcher.compute(version, ["a"], 5)) for version in versions]  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await batcher.stop()
        assert [task.done() for task in asked] == [True] * 4
        assert (one.batches, other.batches) == ([2, 1], [1])

    run(test)


def test_an_error_of_the_model_reaches_each_request_and_the_next_batch_is_computed() -> None:
    async def test() -> None:
        batcher, version = Batcher(1000, 0.01, 100, 1), Counting()
        broken = Counting()
        broken.probabilities = lambda tokens: 1 / 0  # type: ignore[assignment, return-value]
        batcher.start()
        failed = [batcher.compute(broken, ["a"], 5) for _ in range(2)]  # type: ignore[arg-type]
        outcomes = await asyncio.gather(*failed, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [ZeroDivisionError] * 2
        assert (await batcher.compute(version, ["abc"], 5)).tolist() == [[3]]  # type: ignore[arg-type]
        await batcher.stop()

    run(test)
