"""Challenger against champion on the same frozen test rows; promote what is better, and roll back what was not.

gleaner promote [--version N]
gleaner rollback [--to N]
"""

from pathlib import Path
from typing import Any

from prefect import flow, runtime
from prefect.artifacts import create_markdown_artifact
from prefect.states import Completed, State

from flows import promotion_summary as summary
from pipeline.params import load
from tasks.compare import choose, compare
from tasks.mistake import told
from tasks.promote import Promotion, judge, mark, set_alias
from tasks.rollback import Rollback, move_back
from tasks.stage import value


def promote(root: Path, number: str | None = None, name: str | None = None) -> Promotion:
    """Judge a version (by default the alias challenger) and make it champion if it is better.

    Can be called inside another flow, whose subflow it then is; ``name`` is that of the flow run. UserError when there
    is nothing to compare.
    """
    found: Promotion = handed_over(promotion.with_options(flow_run_name=name)(root, number, return_state=True))
    return found


def rollback(root: Path, to: str | None = None, reason: str = "", name: str | None = None) -> Rollback:
    """Make an earlier champion (by default the one before) champion again; UserError when there is none such."""
    found: Rollback = handed_over(going_back.with_options(flow_run_name=name)(root, to, reason, return_state=True))
    return found


@flow(name="promote", persist_result=False)
@told
def promotion(root: Path, number: str | None) -> State:
    """Judge the challenger, enter the verdict in the promotion log, then let the alias follow."""
    params = load(root / "params.yaml")
    pair = choose(root, params, number)
    case = compare(root, params, pair)
    found = judge(root, params, pair, case, str(runtime.flow_run.id))
    set_alias(root, pair.model)
    mark(root, found)
    create_markdown_artifact(summary.as_text(found), key="promotion", description="The verdict on the challenger")
    return Completed(name=found.outcome.capitalize(), message=found.said, data=found)


@flow(name="rollback", persist_result=False)
@told
def going_back(root: Path, to: str | None, reason: str) -> State:
    """Enter the rollback in the promotion log, then let the alias follow."""
    params = load(root / "params.yaml")
    done = move_back(root, params, to, reason, str(runtime.flow_run.id))
    set_alias(root, done.model)
    create_markdown_artifact(done.said, key="rollback", description="Which version is champion again")
    return Completed(name="RolledBack" if done.done else "Lost", message=done.said, data=done)


def handed_over(state: State) -> Any:
    """What the flow came to; what it raised is raised again."""
    found = value(state)
    if isinstance(found, BaseException):
        raise found
    return found
