"""Waiting for what another process does."""

import time
from collections.abc import Callable
from typing import Any


def wait_for(value: Callable[[], Any], seconds: float = 120) -> Any:
    """Wait until a value is true, and return it; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (current := value()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return current
