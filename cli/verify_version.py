"""The command `gleaner verify-version`: run the verifying flow in a session, print its outcome, return an exit code."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from cli.exit_codes import exit_code
from flows.outcomes import training
from flows.outcomes.terminal import escape
from flows.prefect_session import prefect_session
from pipeline.core.errors import UserError
from pipeline.core.params import load_params
from pipeline.core.printable import printable

if TYPE_CHECKING:
    from flows.verify import Verification
    from tasks.registry import RegisteredVersion

STYLE = {"match": "green", "as recorded": "yellow", "differs": "red", "failed": "red"}


@exit_code(stopped="nothing is left behind and nothing was recorded")
def main(root: Path, wanted: str | None, last: str | None) -> int:
    """Rebuild a version and compare it with the record.

    Exit code 0 match, 1 differs or crashed, 2 user error, 130 Ctrl-C.
    """
    with prefect_session(root) as flow_run:
        from flows.verify import verify
        from tasks.prefect_states.user_error import result_of

        version = find_version(root, wanted, last)
        differences = environment_differences(root, version)
        print_warnings(differences)
        with flow_run("verify") as name:
            flow = verify.with_options(flow_run_name=name)
            verification: Verification = result_of(flow(root, version.number, last, return_state=True))
    print_verification(version, verification, last, differences)
    return verification.exit_code


def find_version(root: Path, wanted: str | None, last: str | None) -> "RegisteredVersion":
    """The version to verify.

    Raises UserError where the version, its commit or the stage ``last`` does not exist.
    """
    from tasks import registry
    from tasks.git.worktree import require_commit

    version = registry.find_version(root, load_params(root / "params.yaml"), wanted)
    require_commit(root, version.title, version.commit)
    stages = version.lock()["stages"]
    if last is not None and last not in stages:
        raise UserError(f"--stage: expected a stage of {version.title}, {', '.join(stages)}; found {last}; correct it")
    return version


def environment_differences(root: Path, version: "RegisteredVersion") -> list[str]:
    """How this machine differs from the one that made the version, one difference a line."""
    from tasks.registry import ABOUT_ARTIFACT
    from tasks.registry.environment import describe_environment, environment_changes

    if not version.has_artifact(ABOUT_ARTIFACT):
        return ["the version does not say which Python and libraries it was made with"]
    return environment_changes(version.about()["environment"], describe_environment(root))


def print_warnings(differences: list[str]) -> None:
    """Warn of differences that may change the bits of the result."""
    for line in differences:
        print(f"warning: {printable(line)}", file=sys.stderr)
    if differences:
        print("warning: bits may differ for that reason alone", file=sys.stderr)


def print_verification(
    version: "RegisteredVersion", verification: "Verification", last: str | None, differences: list[str]
) -> None:
    """Print how each stage came out, where it differs, and the verdict in one line."""
    console = Console(highlight=False, soft_wrap=True)
    if verification.stages:
        console.print(
            training.rich_table(f"{version.title}, rebuilt from {version.commit[:12]}", rebuild_rows(verification))
        )
    for stage in verification.stages:
        for line in stage.lines:
            console.print(f"[{STYLE[stage.status]}]{escape(stage.stage)}: {escape(line)}[/]")
    console.print(escape(verdict_line(version, verification, last)))
    if verification.verdict == "differs" and differences:
        console.print(escape(f"Expected where these are others than they were: {'; '.join(differences)}"))


def rebuild_rows(verification: "Verification") -> training.Rows:
    """How each stage came out, one row a stage."""
    return [
        {"stage": stage.stage, "outcome": stage.status, "seconds": f"{stage.seconds:.1f}"}
        for stage in verification.stages
    ]


def verdict_line(version: "RegisteredVersion", verification: "Verification", last: str | None) -> str:
    """The verdict in one line."""
    if verification.fault:
        return verification.fault
    restored = [stage.stage for stage in verification.stages if stage.status == "as recorded"]
    note = f"; {', '.join(restored)} as recorded, because raw data is not what it was" if restored else ""
    if verification.verdict == "match":
        rebuilt = len(verification.stages) - len(restored) - 1  # the first of them is the served bundle
        until = f" up to {last}; this is not recorded" if last else ""
        return f"{version.title} matches bit for bit: {rebuilt} stages rebuilt{until}{note}"
    if verification.verdict == "differs":
        return f"{version.title} differs at {verification.stages[-1].stage}{note}"
    return f"{version.title} could not be rebuilt: {verification.stages[-1].stage} failed"
