"""The tasks that take in texts and corrections, run without a flow on a project of tests/support/night_project.py."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.logging import disable_run_logger
from prefect.states import State

from tasks import inbox
from tasks import refresh as tasks
from tasks.refresh import Corrections, IntakeCounts
from tests.support import night_project as project

NIGHT = datetime(2026, 11, 24, 2, tzinfo=UTC)
NEW = [("the box came today", "delivery"), ("give me my cash", "refund"), ("no idea what this is", None)]


@contextmanager
def run_without_flow(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let tasks run outside a flow for the block, find DVC, and take every file in the inbox for complete."""
    patch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    patch.setattr(inbox, "SETTLING_SECONDS", 0.0)
    with disable_run_logger():
        yield


def take_in_texts(root: Path, days: float = 0) -> IntakeCounts:
    """Take in the texts in the inbox, so many days after the first night."""
    now = NIGHT + timedelta(days=days)
    counts: IntakeCounts = result_of(tasks.take_in_texts.fn(root, project.project_params(root), now))
    return counts


def take_in_corrections(root: Path, *versions: str) -> Corrections:
    """Take in the corrections in the inbox; ``versions`` are the registered ones."""
    params = project.project_params(root)
    corrections: Corrections = result_of(tasks.take_in_corrections.fn(root, params, NIGHT, set(versions)))
    return corrections


def result_of(returned: Any) -> Any:
    """What a task returned. The user's error of a failed state is raised, as a flow does it."""
    if isinstance(returned, State):
        error: Any = returned.data
        raise error
    return returned
