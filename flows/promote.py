"""The promotion flow: compare challenger and champion on the same test rows; and the flow that rolls back.

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
from pipeline.core.params import load_params
from tasks.compare import choose_versions, compare
from tasks.prefect_states.user_error import as_failed_state, result_of
from tasks.promote import decide_promotion, set_champion_alias, store_page, tag_version
from tasks.promote_first import promote_first
from tasks.promotion_outcome import Promotion
from tasks.rollback import Rollback, roll_back


def promote(
    root: Path, number: str | None = None, name: str | None = None, drift: list[dict[str, Any]] | None = None
) -> Promotion:
    """Compare a version (by default the alias challenger) with the champion, and promote it if it is better.

    Inside another flow this runs as a subflow. ``name`` is the name of the flow run; ``drift`` holds the tests of
    pipeline/policies/drift.py as plain data, for the page. Raises UserError when there is nothing to compare.
    """
    flow_ = promotion_flow.with_options(flow_run_name=name)
    promotion: Promotion = result_of(flow_(root, number, drift, return_state=True))
    return promotion


def rollback(root: Path, to: str | None = None, reason: str = "", name: str | None = None) -> Rollback:
    """Make an earlier champion (by default the previous one) champion again; raises UserError when there is none."""
    flow_ = rollback_flow.with_options(flow_run_name=name)
    outcome: Rollback = result_of(flow_(root, to, reason, return_state=True))
    return outcome


@flow(name="promote", persist_result=False)
@as_failed_state
def promotion_flow(root: Path, number: str | None, drift: list[dict[str, Any]] | None = None) -> State:
    """Decide on the challenger, enter the verdict in the promotion log, then move the alias."""
    params = load_params(root / "params.yaml")
    flow_run = str(runtime.flow_run.id)
    first: Promotion | None = result_of(promote_first(root, params, number, flow_run, return_state=True))
    if first is not None:
        return publish(root, first)
    pair = result_of(choose_versions(root, params, number, return_state=True))
    case = result_of(compare(root, params, pair, return_state=True))
    decided: Promotion = result_of(decide_promotion(root, params, pair, case, flow_run, return_state=True))
    set_champion_alias(root, decided.model)
    return publish(root, replace(decided, page=store_page(root, pair, decided, drift)))


def publish(root: Path, promotion: Promotion) -> State:
    """Tag the version with the outcome, publish it as a Prefect artifact, and return it as the state of the flow."""
    tag_version(root, promotion)
    page = summary.as_markdown(promotion)
    create_markdown_artifact(page, key="promotion", description="The verdict on the challenger")
    return Completed(name=promotion.outcome.capitalize(), message=promotion.message, data=promotion)


@flow(name="rollback", persist_result=False)
@as_failed_state
def rollback_flow(root: Path, to: str | None, reason: str) -> State:
    """Enter the rollback in the promotion log, then move the alias."""
    params = load_params(root / "params.yaml")
    done: Rollback = result_of(roll_back(root, params, to, reason, str(runtime.flow_run.id), return_state=True))
    set_champion_alias(root, done.model)
    create_markdown_artifact(done.message, key="rollback", description="Which version is champion again")
    return Completed(name="RolledBack" if done.done else "Lost", message=done.message, data=done)
