"""A limit on how often each key may ask: a bucket of tokens that fills at a steady rate."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Bucket:
    """The tokens that a key has left, and when that was so, in seconds."""

    tokens: float
    at: float


class RateLimit:
    """Buckets by key: ``rate`` tokens a second are added, up to ``burst``, and each request takes one."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self.burst, self.clock = rate, burst, clock
        self.buckets: dict[str, Bucket] = {}

    def take(self, key: str) -> float:
        """Take a token for one request: 0 if there is one, else the seconds until there will be one."""
        now = self.clock()
        bucket = self.buckets.setdefault(key, Bucket(self.burst, now))
        bucket.tokens = min(self.burst, bucket.tokens + (now - bucket.at) * self.rate)
        bucket.at = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / self.rate
        bucket.tokens -= 1
        return 0.0
