"""The verifying flow: rebuild a registered version from its lineage, stage by stage, and compare with the record.

gleaner verify-version N
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from prefect import flow
from prefect.states import Completed, Failed, State

from pipeline.core.errors import UserError
from pipeline.core.params import load_params
from pipeline.models.bundle_settings import recorded_compute
from pipeline.models.runtime import compute_like
from tasks import registry
from tasks.dvc.graph import stage_graph
from tasks.git.worktree import checked_out
from tasks.prefect_states.user_error import as_failed_state, result_of
from tasks.processes.process import Processes
from tasks.rebuild import StageRebuild, check_served_bundle, rebuild_stage

Verdict = Literal["match", "differs", "not rebuilt"]


@dataclass(frozen=True)
class Verification:
    """The comparison of the bundle and of each stage with the record, up to the first that differs.

    ``fault`` is a user's error, empty where there is none.
    """

    stages: tuple[StageRebuild, ...] = ()
    fault: str = ""

    @property
    def verdict(self) -> Verdict:
        """Whether everything that was rebuilt equals the record; a stage that could not run decides nothing."""
        if self.fault or not self.stages or self.stages[-1].status == "failed":
            return "not rebuilt"
        return "match" if self.stages[-1].good else "differs"

    @property
    def exit_code(self) -> int:
        """0 match, 1 differs or crashed, 2 user error."""
        if self.fault or any(stage.user_error for stage in self.stages):
            return 2
        return 0 if self.verdict == "match" else 1


@flow(name="verify", persist_result=False)
@as_failed_state
def verify(root: Path, number: str, last: str | None) -> State:
    """Rebuild a version up to the stage ``last``, or all of it, and store the verdict with the version."""
    try:
        version = registry.find_version(root, load_params(root / "params.yaml"), number)
        with version.bundle() as bundle:
            compute = recorded_compute(bundle)
        with (
            compute_like(compute, version.title),
            checked_out(root, version.snapshot()) as project,
            Processes() as processes,
        ):
            verification = Verification(tuple(rebuild_stages(version, project, root, last, processes)))
    except UserError as error:
        return Failed(message=f"error: {error}", data=Verification(fault=f"error: {error}"))
    verdict = verification.verdict
    if verdict == "differs" or (verdict == "match" and last is None):
        version.set_tags(verification_tags(verification))
    if verdict == "match":
        return Completed(name="Match", message=f"{version.title} is what it was", data=verification)
    message = f"{version.title}: {verification.stages[-1].stage}"
    return Failed(name=verdict.capitalize(), message=message, data=verification)


def rebuild_stages(
    version: registry.RegisteredVersion, project: Path, root: Path, last: str | None, processes: Processes
) -> Iterator[StageRebuild]:
    """Check the served bundle, then rebuild each stage in graph order, up to ``last`` or the first that differs."""
    rebuilt: StageRebuild = result_of(check_served_bundle(version, root, return_state=True))
    yield rebuilt
    for name in stage_graph(project):
        if not rebuilt.good or rebuilt.stage == last:
            return
        stage = rebuild_stage.with_options(name=name, task_run_name=name)
        rebuilt = result_of(stage(name, project, root, processes, return_state=True))
        yield rebuilt


def verification_tags(verification: Verification) -> dict[str, str]:
    """The verdict as tags of the version."""
    restored = [stage.stage for stage in verification.stages if stage.status == "as recorded"]
    verdict = verification.verdict
    return {
        "gleaner.verified": verdict,
        "gleaner.verified_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "gleaner.verified_differs_at": "" if verdict == "match" else verification.stages[-1].stage,
        "gleaner.verified_not_rebuilt": " ".join(restored),
    }
