"""What `gleaner verify-version` does: the verifying flow in a session, and its answer."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from cli.exit_codes import exit_code
from flows.outcomes import training
from flows.prefect_session import session
from pipeline.core.errors import UserError
from pipeline.core.params import load

if TYPE_CHECKING:
    from flows.verify import Verification
    from tasks.registry import RegisteredVersion

STYLE = {"match": "green", "as recorded": "yellow", "differs": "red", "failed": "red"}


@exit_code(stopped="nothing is left behind and nothing was recorded")
def main(root: Path, wanted: str | None, last: str | None) -> int:
    """Rebuild and compare; 0 match, 1 differs or broke, 2 on a user's mistake, 130 on Ctrl-C."""
    with session(root) as flow_run:
        from flows.verify import verify
        from tasks.prefect_states.user_error import result_of

        version = find(root, wanted, last)
        others = unlike(root, version)
        warn(others)
        with flow_run("verify") as name:
            flow = verify.with_options(flow_run_name=name)
            found: Verification = result_of(flow(root, version.number, last, return_state=True))
    show(version, found, last, others)
    return found.exit_code


def find(root: Path, wanted: str | None, last: str | None) -> "RegisteredVersion":
    """The version, once what can be wrong with the question is ruled out."""
    from tasks import registry
    from tasks.git.worktree import require_commit

    version = registry.find(root, load(root / "params.yaml"), wanted)
    require_commit(root, version.title, version.commit)
    known = version.lock()["stages"]
    if last is not None and last not in known:
        raise UserError(f"--stage: expected a stage of {version.title}, {', '.join(known)}; found {last}; correct it")
    return version


def unlike(root: Path, version: "RegisteredVersion") -> list[str]:
    """What of this machine is other than what the version was made with; nothing where that is not known."""
    from tasks.registry import ABOUT
    from tasks.registry.environment import environment, otherwise

    if not version.has(ABOUT):
        return ["the version does not say which Python and libraries it was made with"]
    return otherwise(version.about()["environment"], environment(root))


def warn(others: list[str]) -> None:
    """Say beforehand what may keep the bits from being the same."""
    for line in others:
        print(f"warning: {line}", file=sys.stderr)
    if others:
        print("warning: bits may differ for that reason alone", file=sys.stderr)


def show(version: "RegisteredVersion", found: "Verification", last: str | None, others: list[str]) -> None:
    """Each stage, where it differs, and the answer in one line."""
    console = Console(highlight=False, soft_wrap=True)
    if found.stages:
        console.print(training.table(f"{version.title}, rebuilt from {version.commit[:12]}", rows(found)))
    for stage in found.stages:
        for line in stage.lines:
            console.print(f"[{STYLE[stage.how]}]{escape(stage.stage)}: {escape(line)}[/]")
    console.print(escape(answer(version, found, last)))
    if found.verdict == "differs" and others:
        console.print(escape(f"Expected where these are others than they were: {'; '.join(others)}"))


def rows(found: "Verification") -> training.Rows:
    """How each stage came out."""
    return [{"stage": stage.stage, "outcome": stage.how, "seconds": f"{stage.seconds:.1f}"} for stage in found.stages]


def answer(version: "RegisteredVersion", found: "Verification", last: str | None) -> str:
    """The verdict in words."""
    if found.fault:
        return found.fault
    taken = [stage.stage for stage in found.stages if stage.how == "as recorded"]
    begins = f"; {', '.join(taken)} as recorded, because raw data is not what it was" if taken else ""
    if found.verdict == "match":
        rebuilt = len(found.stages) - len(taken) - 1  # the first line is the served bundle
        until = f" up to {last}; this is not recorded" if last else ""
        return f"{version.title} matches bit for bit: {rebuilt} stages rebuilt{until}{begins}"
    if found.verdict == "differs":
        return f"{version.title} differs at {found.stages[-1].stage}{begins}"
    return f"{version.title} could not be rebuilt: {found.stages[-1].stage} failed"
