"""The flow of a person's answer: enter it in the promotion log, then move the alias.

gleaner approve N --by NAME --reason TEXT [--reject]
"""

from pathlib import Path

from prefect import flow, runtime
from prefect.artifacts import create_markdown_artifact
from prefect.states import Completed, State

from pipeline.core.params import load_params
from tasks.approve import Answer, Approval, settle_request
from tasks.prefect_states.user_error import as_failed_state, result_of
from tasks.promote import set_champion_alias


def approve(root: Path, answer: Answer, name: str | None = None) -> Approval:
    """Settle a version that waits for approval; raises UserError when it does not wait, or not any more."""
    outcome: Approval = result_of(approval_flow.with_options(flow_run_name=name)(root, answer, return_state=True))
    return outcome


@flow(name="approve", persist_result=False)
@as_failed_state
def approval_flow(root: Path, answer: Answer) -> State:
    """Enter the answer in the promotion log, then move the alias."""
    params = load_params(root / "params.yaml")
    done: Approval = result_of(settle_request(root, params, answer, str(runtime.flow_run.id), return_state=True))
    set_champion_alias(root, done.model)
    create_markdown_artifact(done.message, key="approval", description="What a person decided on a version")
    name = ("Rejected" if answer.reject else "Approved") if done.done else "Lost"
    return Completed(name=name, message=done.message, data=done)
