"""Challenger against champion on the same frozen test rows; promote what is better, and roll back what was not.

gleaner promote [--version N]
gleaner rollback [--to N]
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from prefect import flow, runtime
from prefect.artifacts import create_markdown_artifact
from prefect.states import Completed, State

from flows.outcomes import promotion as summary
from pipeline.core.params import load
from tasks.compare import choose, compare
from tasks.prefect_states.user_error import as_failed_state, result_of
from tasks.promote import Promotion, judge, mark, set_alias, store_page
from tasks.rollback import Rollback, move_back


def promote(
    root: Path, number: str | None = None, name: str | None = None, drift: list[dict[str, Any]] | None = None
) -> Promotion:
    """Judge a version (by default the alias challenger) and make it champion if it is better.

    Can be called inside another flow, whose subflow it then is; ``name`` is that of the flow run, ``drift`` the answers
    of pipeline/policies/drift.py as plain data, for the page. UserError when there is nothing to compare.
    """
    found: Promotion = result_of(promotion.with_options(flow_run_name=name)(root, number, drift, return_state=True))
    return found


def rollback(root: Path, to: str | None = None, reason: str = "", name: str | None = None) -> Rollback:
    """Make an earlier champion (by default the one before) champion again; UserError when there is none such."""
    found: Rollback = result_of(going_back.with_options(flow_run_name=name)(root, to, reason, return_state=True))
    return found


@flow(name="promote", persist_result=False)
@as_failed_state
def promotion(root: Path, number: str | None, drift: list[dict[str, Any]] | None = None) -> State:
    """Judge the challenger, enter the verdict in the promotion log, then let the alias follow."""
    params = load(root / "params.yaml")
    pair = result_of(choose(root, params, number, return_state=True))
    case = result_of(compare(root, params, pair, return_state=True))
    found: Promotion = result_of(judge(root, params, pair, case, str(runtime.flow_run.id), return_state=True))
    set_alias(root, found.model)
    mark(root, found)
    found = replace(found, page=store_page(root, pair, found, drift))
    create_markdown_artifact(summary.as_text(found), key="promotion", description="The verdict on the challenger")
    return Completed(name=found.outcome.capitalize(), message=found.said, data=found)


@flow(name="rollback", persist_result=False)
@as_failed_state
def going_back(root: Path, to: str | None, reason: str) -> State:
    """Enter the rollback in the promotion log, then let the alias follow."""
    params = load(root / "params.yaml")
    done: Rollback = result_of(move_back(root, params, to, reason, str(runtime.flow_run.id), return_state=True))
    set_alias(root, done.model)
    create_markdown_artifact(done.said, key="rollback", description="Which version is champion again")
    return Completed(name="RolledBack" if done.done else "Lost", message=done.said, data=done)
