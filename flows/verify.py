"""The verifying flow: a registered version rebuilt from its lineage, stage by stage, and compared with what it was.

gleaner verify-version N
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, cast

from prefect import flow
from prefect.states import Completed, Failed, State

from pipeline.core.errors import UserError
from pipeline.core.params import load
from tasks import registry
from tasks.git.worktree import checked_out
from tasks.processes.process import Processes
from tasks.rebuild import Rebuilt, check_served, rebuild
from tasks.stage import graph, value

Verdict = Literal["match", "differs", "not rebuilt"]


@dataclass(frozen=True)
class Verification:
    """What became of the bundle and each stage, up to the first that is not what it was; ``fault`` is a mistake."""

    stages: tuple[Rebuilt, ...] = ()
    fault: str = ""

    @property
    def verdict(self) -> Verdict:
        """Whether all that was rebuilt is what it was; a stage that could not run says nothing of it."""
        if self.fault or not self.stages or self.stages[-1].how == "failed":
            return "not rebuilt"
        return "match" if self.stages[-1].good else "differs"

    @property
    def exit_code(self) -> int:
        """0 match, 1 differs or broke, 2 a user's mistake."""
        if self.fault or any(stage.user_error for stage in self.stages):
            return 2
        return 0 if self.verdict == "match" else 1


@flow(name="verify", persist_result=False)
def verify(root: Path, number: str, last: str | None) -> State:
    """Rebuild the version up to the stage ``last``, or whole; the verdict is kept with it."""
    try:
        version = registry.find(root, load(root / "params.yaml"), number)
        with checked_out(root, version.snapshot()) as project, Processes() as processes:
            found = Verification(tuple(stages(version, project, root, last, processes)))
    except UserError as error:
        return Failed(message=f"error: {error}", data=Verification(fault=f"error: {error}"))
    if found.verdict == "differs" or (found.verdict == "match" and last is None):
        version.mark(tags(found))
    if found.verdict == "match":
        return Completed(name="Match", message=f"{version.title} is what it was", data=found)
    return Failed(name=found.verdict.capitalize(), message=f"{version.title}: {found.stages[-1].stage}", data=found)


def stages(
    version: registry.RegisteredVersion, project: Path, root: Path, last: str | None, processes: Processes
) -> Iterator[Rebuilt]:
    """The served bundle, then each stage in graph order, up to ``last`` or the first that is not what it was."""
    done = outcome(check_served(version, root, return_state=True))
    yield done
    for name in graph(project):
        if not done.good or done.stage == last:
            return
        stage = rebuild.with_options(name=name, task_run_name=name)
        done = outcome(stage(name, project, root, processes, return_state=True))
        yield done


def outcome(state: State) -> Rebuilt:
    """What a task came to; an error that nobody expected goes on."""
    found = value(state)
    if isinstance(found, BaseException):
        raise found
    return cast(Rebuilt, found)


def tags(found: Verification) -> dict[str, str]:
    """The verdict as it is kept with the version."""
    taken = [stage.stage for stage in found.stages if stage.how == "as recorded"]
    return {
        "gleaner.verified": found.verdict,
        "gleaner.verified_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "gleaner.verified_differs_at": "" if found.verdict == "match" else found.stages[-1].stage,
        "gleaner.verified_not_rebuilt": " ".join(taken),
    }
