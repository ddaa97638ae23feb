"""Texts of several requests are computed together: a bounded queue, batches by tokens, and a deadline for each.

While a batch is computed, the next one gathers by itself. Only an idle model waits for more texts, for milliseconds.
"""

import asyncio
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from pipeline.serving import metrics
from pipeline.serving.errors import ApiError
from pipeline.serving.loaded import LoadedVersion

FIRST_RATE = 1000.0  # texts a second, before one was measured


@dataclass(eq=False)
class Job:
    """The texts of one request."""

    version: LoadedVersion
    tokens: list[np.ndarray]  # (tokens,) int64 each
    answer: "asyncio.Future[np.ndarray]"
    result: list[np.ndarray]  # of each text, (columns,), what `LoadedVersion.compute` gives
    missing: int


class Batcher:
    """A queue of texts, and threads that compute it. `start` and `stop` belong to the event loop that uses it."""

    def __init__(self, tokens: int, wait_seconds: float, queue_texts: int, threads: int) -> None:
        self.tokens, self.wait_seconds, self.queue_texts = tokens, wait_seconds, queue_texts
        self.queue: deque[tuple[Job, int]] = deque()
        self.queued_tokens = 0
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="batch")
        self.free = asyncio.Semaphore(threads)
        self.threads = threads
        self.arrived = asyncio.Event()
        self.rate = FIRST_RATE  # texts a second, a moving mean
        self.running: set[asyncio.Task[None]] = set()
        self.dispatcher: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to compute what is queued."""
        self.dispatcher = asyncio.create_task(self.dispatch())

    async def stop(self) -> None:
        """Compute what is queued, then end."""
        while self.queue or self.running:
            await asyncio.sleep(0.005)
        if self.dispatcher:
            self.dispatcher.cancel()
        self.pool.shutdown(wait=True)

    async def compute(self, version: LoadedVersion, texts: list[str], timeout: float) -> np.ndarray:
        """What `LoadedVersion.compute` gives for each text, (texts, columns), float64.

        Raises ApiError if the queue is full, or if there is no answer within ``timeout`` seconds.
        """
        self.require_room(len(texts))
        if len(texts) > 8 or sum(map(len, texts)) > 4000:
            tokens = await asyncio.get_running_loop().run_in_executor(self.pool, version.tokenise, texts)
            self.require_room(len(texts))
        else:
            tokens = version.tokenise(texts)
        answer: asyncio.Future[np.ndarray] = asyncio.get_running_loop().create_future()
        result = [np.empty(0)] * len(tokens)
        job = Job(version, tokens, answer, result, len(tokens))
        self.queue.extend((job, row) for row in range(len(tokens)))
        self.queued_tokens += sum(map(len, tokens))
        metrics.QUEUE_TEXTS.set(len(self.queue))
        self.arrived.set()
        try:
            return await asyncio.wait_for(answer, timeout)
        except TimeoutError:
            raise ApiError(504, "deadline", f"expected an answer within {timeout:g} s, found none; try again") from None

    def require_room(self, texts: int) -> None:
        """Raises ApiError if the queue has no room for so many texts."""
        if len(self.queue) + texts > self.queue_texts:
            seconds = len(self.queue) / self.rate
            raise ApiError(429, "queue_full", "expected room in the queue, found none; try again later", seconds)

    async def dispatch(self) -> None:
        """Hand batches to the threads, for ever."""
        while True:
            await self.free.acquire()
            batch: list[tuple[Job, int]] = []
            while not batch:
                self.arrived.clear()
                if not self.queue:
                    await self.arrived.wait()
                if not self.running and self.queued_tokens < self.tokens:
                    await self.gather()
                batch = self.take()
            task = asyncio.create_task(self.run(batch))
            self.running.add(task)
            task.add_done_callback(self.running.discard)

    async def gather(self) -> None:
        """Wait a moment for more texts, unless there is a batch of them."""
        end = time.monotonic() + self.wait_seconds
        while self.queued_tokens < self.tokens and (left := end - time.monotonic()) > 0:
            self.arrived.clear()
            try:
                await asyncio.wait_for(self.arrived.wait(), left)
            except TimeoutError:
                return

    def take(self) -> list[tuple[Job, int]]:
        """The next texts in the order of their arrival, of one version; those that nobody waits for are dropped."""
        batch: list[tuple[Job, int]] = []
        tokens = 0
        while self.queue:
            job, row = self.queue[0]
            length = len(job.tokens[row])
            if not job.answer.done():
                if batch and (job.version is not batch[0][0].version or tokens + length > self.tokens):
                    break
                batch.append((job, row))
                tokens += length
            self.queue.popleft()
            self.queued_tokens -= length
        metrics.QUEUE_TEXTS.set(len(self.queue))
        return batch

    async def run(self, batch: list[tuple[Job, int]]) -> None:
        """Compute one batch and deliver its rows."""
        version = batch[0][0].version
        began = time.monotonic()
        try:
            tokens = [job.tokens[row] for job, row in batch]
            loop = asyncio.get_running_loop()
            values = await loop.run_in_executor(self.pool, version.compute, tokens)
        except Exception as error:  # noqa: BLE001  each request of the batch reports it
            for job, _ in batch:
                if not job.answer.done():
                    job.answer.set_exception(error)
            return
        finally:
            self.free.release()
        seconds = max(time.monotonic() - began, 1e-6)
        self.rate += 0.1 * (self.threads * len(batch) / seconds - self.rate)
        metrics.BATCH_TEXTS.observe(len(batch))
        metrics.BATCH_SECONDS.observe(seconds)
        for (job, row), computed in zip(batch, values, strict=True):
            job.result[row] = computed
            job.missing -= 1
            if not job.missing and not job.answer.done():
                job.answer.set_result(np.stack(job.result))
