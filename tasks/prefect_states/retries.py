"""How often what may fail in passing is tried again: a source, a push, a notification; never a training."""

from collections.abc import Callable
from typing import Any

from pipeline.core.params import Params


def retry_options(params: Params, passing: Callable[[Any, Any, Any], bool]) -> dict[str, Any]:
    """Options of a Prefect task: so many retries, each after twice the pause of the one before.

    ``passing`` is asked with the task, its run and the failed state whether trying again may help.
    """
    count, pause = params.retrain.retries, params.retrain.retry_seconds
    delays = [pause * 2**number for number in range(count)]
    return {"retries": count, "retry_delay_seconds": delays or 0, "retry_condition_fn": passing}
