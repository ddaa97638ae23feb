"""Retries of tasks whose failure may be transient: a source, a push, a notification. A training is never retried."""

from collections.abc import Callable
from typing import Any

from prefect.tasks import exponential_backoff

from pipeline.core.params import Params


def retry_options(params: Params, is_worth_retrying: Callable[[Any, Any, Any], bool]) -> dict[str, Any]:
    """Options of a Prefect task: the number of retries in params, each after twice the pause of the one before.

    ``is_worth_retrying`` gets the task, its run and the failed state, and says whether another try may help.
    """
    count, first_pause = params.retrain.retries, params.retrain.retry_seconds
    delays = exponential_backoff(backoff_factor=first_pause)(count)
    return {"retries": count, "retry_delay_seconds": delays or 0, "retry_condition_fn": is_worth_retrying}
