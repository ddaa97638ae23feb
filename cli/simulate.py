"""The command `gleaner simulate`: run a month of nights on a copy of the demo, with drift, bad labels and a crash.

The copy is a separate project below data/scratch/simulate, with its own git, DVC cache, Prefect and MLflow stores. It
shares the code, params.yaml and the store of text vectors with this project, and changes nothing here.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flows import prefect_server
from flows.outcomes import night
from flows.prefect_session import is_first_report
from pipeline.core.errors import UserError
from pipeline.core.params import load_params, read_yaml, to_yaml
from pipeline.core.stage import Paths
from pipeline.experiments import simulated_month
from pipeline.experiments.simulated_month import Day, Kind
from tasks.git.command import error_line, try_git

FIRST = datetime(2026, 1, 1, 2, tzinfo=UTC)
STAGE = "export"  # the night of the crash is killed in this stage
STORES = ("MLFLOW_TRACKING_URI", "PREFECT_API_URL", "PREFECT_HOME")  # the user's stores are not used
STAGE_TIMEOUT = 3600.0  # seconds for a night to reach the stage


@dataclass(frozen=True)
class Check:
    """One thing that the history must show, and whether it does."""

    holds: bool
    text: str


def main(root: Path, days: int, seed: int) -> int:
    """Run the month and check its history.

    Exit code 0 if the history shows all that it must, 1 if not, 2 user error, 130 Ctrl-C.
    """
    folder = Paths(root).scratch("simulate") / f"{datetime.now():%Y-%m-%dT%H-%M-%S}"
    try:
        project = copy_demo_project(root, folder)
        history = play_nights(project, simulated_month.plan_days(days), seed)
    except KeyboardInterrupt:
        print(f"stopped; what was simulated so far is in {folder}", file=sys.stderr)
        return 130
    checks = check_history(simulated_month.plan_days(days), history)
    print("\n".join(f"{'holds' if check.holds else 'FAILS'}: {check.text}" for check in checks))
    print(f"Project: {project}")
    return 0 if all(check.holds for check in checks) else 1


def copy_demo_project(root: Path, folder: Path) -> Path:
    """Make the project: the files that git lists here, with few labels and a small pool, committed.

    Raises UserError where ingest.path is not the demo.
    """
    params = load_params(root / "params.yaml")
    if params.ingest.source != "files" or params.ingest.path.rstrip("/") != "data/demo":
        raise UserError(
            f"simulate: expected ingest.path: data/demo, found {params.ingest.path}; the month is made of the demo's "
            "phrases: `git stash` your params for it"
        )
    names = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, names):
        if name != "dvc.lock" and (root / name).is_file() and not name.startswith("arrivals/2"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, folder / name)
    simulated_month.shorten_demo(folder / "data" / "demo")
    content = read_yaml(folder / "params.yaml")
    content["notify"]["to"] = []  # a simulation notifies nobody
    content["gate"]["max_calibration_error"] = None  # a model of two labels a class cannot keep it
    (folder / "params.yaml").write_text(to_yaml(content), encoding="utf-8")
    git(folder, "init", "--quiet")
    git(folder, "config", "user.name", "gleaner")
    git(folder, "config", "user.email", "gleaner@localhost")
    git(folder, "add", "-A")
    git(folder, "commit", "--quiet", "-m", "The demo with few labels")
    vectors = Paths(root).scratch("embeddings")
    vectors.mkdir(parents=True, exist_ok=True)
    Paths(folder).scratch("embeddings").parent.mkdir(parents=True, exist_ok=True)
    Paths(folder).scratch("embeddings").symlink_to(vectors)
    return folder


def git(root: Path, *words: str) -> str:
    """Run git and return its output; raises UserError where it fails."""
    done = try_git(root, *words)
    if done.returncode:
        raise UserError(f"simulate: expected `git {words[0]}` to work in {root}, found: {error_line(done)}")
    return os.fsdecode(done.stdout)


def play_nights(
    project: Path, kinds: list[Kind], seed: int, report: Callable[[str], None] = print
) -> list[dict[str, Any]]:
    """Run every night of the month on one server, one after the other; prints and returns the history."""
    for name in STORES:
        os.environ.pop(name, None)
    with prefect_server.interruptible(), prefect_server.running_server(project) as wait_for_server:
        from tasks import registry

        import_prefect()
        registry.connect(project)
        wait_for_server()
        for number, day in enumerate(simulated_month.generate_days(kinds, project / "data" / "demo", seed)):
            now = FIRST + timedelta(days=number)
            start = time.monotonic()
            add_arrivals(project, day, now)
            report(f"{now:%Y-%m-%d} {day.kind}: {last_night_line(project)} ({time.monotonic() - start:.0f} s)")
        rows = night.read_nights(project)
        night.print_nights(rows)
    return rows


def import_prefect() -> None:
    """Import Prefect, which reads its settings at that moment, and limit its logs of flows and tasks to warnings."""
    import logging

    import prefect  # noqa: F401

    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).setLevel(logging.WARNING)
        logging.getLogger(name).addFilter(is_first_report)


def add_arrivals(project: Path, day: Day, now: datetime) -> None:
    """Put the files of a day into the inboxes, withdraw bad labels on the day for it, and run the night."""
    from tasks.registry import nights

    champion = nights.current_champion(project, load_params(project / "params.yaml"))
    for name, content in day.files.items():
        path = project / "inbox" / name
        path.write_text(content.replace("@champion", champion.number if champion else "0"), encoding="utf-8")
    if day.kind == "withdrawn":
        withdraw(project)
    if day.kind == "crash":
        kill_night(project, now)
        return
    from flows.retrain import retrain

    retrain.with_options(flow_run_name=f"retrain {now:%Y-%m-%d}")(project, False, now, return_state=True)


def withdraw(project: Path) -> None:
    """Withdraw the last arrivals and commit that, as an owner does after a refused night."""
    name = max((project / "arrivals").glob("*.parquet")).relative_to(project)
    git(project, "rm", "--quiet", f"{name}.dvc")
    (project / name).unlink()
    git(project, "commit", "--quiet", "-m", f"Withdrawn: {name.name}, whose labels are wrong")


def kill_night(project: Path, now: datetime) -> None:
    """Run a night in a separate process and kill it, as a power cut would, while a stage of its training runs."""
    command = [sys.executable, "-m", "cli", "retrain", "--now", f"{now:%Y-%m-%dT%H:%M:%S}"]
    metrics = Paths(project).data(STAGE) / "metrics.json"
    output = Paths(project).scratch("simulate") / "crash.log"
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("wb") as file:
        child = subprocess.Popen(command, cwd=project, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
    deadline = time.monotonic() + STAGE_TIMEOUT
    while metrics.exists() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(child.pid, signal.SIGKILL) if child.poll() is None else None
    child.wait()


def last_night_line(project: Path) -> str:
    """The outcome and the reason of the last recorded night."""
    rows = night.read_nights(project)
    return f"{rows[-1]['outcome']}, {rows[-1]['reasons'][:160]}" if rows else "no record"


def check_history(kinds: list[Kind], rows: list[dict[str, Any]]) -> list[Check]:
    """Check what must be true of the history of a month."""
    row_by_time = {row["when"]: row for row in rows}
    nights = [(kind, row_by_time.get(FIRST + timedelta(days=number))) for number, kind in enumerate(kinds)]
    return list(checks([(kind, row or {}) for kind, row in nights]))


def checks(nights: list[tuple[Kind, dict[str, Any]]]) -> Iterator[Check]:
    """The checks, one after the other."""
    kinds = [kind for kind, _ in nights]
    rows = [row for _, row in nights]
    outcomes = [row.get("outcome") for row in rows]
    yield Check(all(rows), f"{len([row for row in rows if row])} of {len(rows)} nights are on record")
    yield Check(outcomes[0] == "promoted", "the first night made the first champion")
    drifted = kinds.index("drift")
    flagged = [number for number, row in enumerate(rows) if row.get("tags", {}).get("gleaner.drift") == "drift"]
    yield Check(
        drifted in flagged, f"the night of drift was flagged; flagged: {', '.join(map(str, flagged)) or 'none'}"
    )
    mislabelled = kinds.index("bad labels")
    yield Check(outcomes[mislabelled] == "refused", f"the bad labels were {outcomes[mislabelled]}")
    crashed = kinds.index("crash")
    yield Check(outcomes[crashed] == "crashed", f"the night of the crash is on record as {outcomes[crashed]}")
    yield Check(
        outcomes[crashed + 1] in ("promoted", "refused") and rows[crashed + 1].get("crashed_before") == 1,
        f"the night after it trained on what had arrived, and was {outcomes[crashed + 1]}",
    )
    quiet = [number for number, kind in enumerate(kinds) if kind == "quiet" and number not in (0, crashed + 1)]
    skipped = [number for number in quiet if outcomes[number] == "skipped" and rows[number].get("reasons")]
    yield Check(quiet == skipped, f"{len(skipped)} of {len(quiet)} nights without news trained nothing and said why")
    later = [number for number, outcome in enumerate(outcomes) if outcome == "promoted" and number]
    yield Check(bool(later), f"{len(later)} later nights promoted a better version")
