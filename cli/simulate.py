"""What `gleaner simulate` does: a month of nights on a copy of the demo, with drift, bad labels and a crash in it.

The copy is a project of its own below data/scratch/simulate, with its own git, DVC cache, Prefect and MLflow stores: it
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
from flows.prefect_session import said_once
from pipeline.core.errors import UserError
from pipeline.core.params import load, read_yaml, to_yaml
from pipeline.core.stage import Paths
from pipeline.experiments import simulated_month
from pipeline.experiments.simulated_month import Day, Kind

FIRST = datetime(2026, 1, 1, 2, tzinfo=UTC)
STAGE = "export"  # in which the night of the crash is killed
STORES = ("MLFLOW_TRACKING_URI", "PREFECT_API_URL", "PREFECT_HOME")  # the user's own are left alone
PATIENCE = 3600.0  # seconds for a night to reach the stage


@dataclass(frozen=True)
class Check:
    """Something that the history has to show."""

    holds: bool
    text: str


def main(root: Path, days: int, seed: int) -> int:
    """Play the month; 0 when the history shows all that it should, 1 when not, 2 on a user's mistake, 130 on Ctrl-C."""
    place = Paths(root).scratch("simulate") / f"{datetime.now():%Y-%m-%dT%H-%M-%S}"
    try:
        project = copy(root, place)
        found = play(project, simulated_month.plan(days), seed)
    except KeyboardInterrupt:
        print(f"stopped; what was played so far is in {place}", file=sys.stderr)
        return 130
    checks = judge(simulated_month.plan(days), found)
    print("\n".join(f"{'holds' if one.holds else 'FAILS'}: {one.text}" for one in checks))
    print(f"Project: {project}")
    return 0 if all(one.holds for one in checks) else 1


def copy(root: Path, place: Path) -> Path:
    """A project with what git lists here, few labels and a small pool, committed as its first state."""
    params = load(root / "params.yaml")
    if params.ingest.source != "files" or params.ingest.path.rstrip("/") != "data/demo":
        raise UserError(
            f"simulate: expected ingest.path: data/demo, found {params.ingest.path}; the month is made of the demo's "
            "phrases: `git stash` your params for it"
        )
    listed = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, listed):
        if name != "dvc.lock" and (root / name).is_file() and not name.startswith("arrivals/2"):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, place / name)
    simulated_month.shorten(place / "data" / "demo")
    content = read_yaml(place / "params.yaml")
    content["notify"]["to"] = []  # nobody is woken for a rehearsal
    content["gate"]["max_calibration_error"] = None  # which no model of two labels a class could keep
    (place / "params.yaml").write_text(to_yaml(content), encoding="utf-8")
    git(place, "init", "--quiet")
    git(place, "config", "user.name", "gleaner")
    git(place, "config", "user.email", "gleaner@localhost")
    git(place, "add", "-A")
    git(place, "commit", "--quiet", "-m", "The demo with few labels")
    vectors = Paths(root).scratch("embeddings")
    vectors.mkdir(parents=True, exist_ok=True)
    Paths(place).scratch("embeddings").parent.mkdir(parents=True, exist_ok=True)
    Paths(place).scratch("embeddings").symlink_to(vectors)
    return place


def git(root: Path, *words: str) -> str:
    """Run git; UserError where it fails."""
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or "no reason").splitlines()[-1]
        raise UserError(f"simulate: expected `git {words[0]}` to work in {root}, found: {said}")
    return done.stdout


def play(project: Path, kinds: list[Kind], seed: int, said: Callable[[str], None] = print) -> list[dict[str, Any]]:
    """Every night of the month, one after the other on one server; prints and returns the history."""
    for name in STORES:
        os.environ.pop(name, None)
    with prefect_server.interruptible(), prefect_server.server(project) as ready:
        from tasks import registry

        import_prefect()
        registry.connect(project)
        ready()
        for number, day in enumerate(simulated_month.arrivals(kinds, project / "data" / "demo", seed)):
            now = FIRST + timedelta(days=number)
            start = time.monotonic()
            live(project, day, now)
            said(f"{now:%Y-%m-%d} {day.kind}: {last(project)} ({time.monotonic() - start:.0f} s)")
        rows = night.history(project)
        night.show(rows)
    return rows


def import_prefect() -> None:
    """Import Prefect, which reads its settings now, and keep its logs of each task to warnings."""
    import logging

    import prefect  # noqa: F401

    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).setLevel(logging.WARNING)
        logging.getLogger(name).addFilter(said_once)


def live(project: Path, day: Day, now: datetime) -> None:
    """One day: what arrives is dropped, then the night comes; the owner takes bad labels back out by day."""
    from tasks.registry import nights

    champion = nights.champion(project, load(project / "params.yaml"))
    for name, content in day.files.items():
        path = project / "inbox" / name
        path.write_text(content.replace("@champion", champion.number if champion else "0"), encoding="utf-8")
    if day.kind == "withdrawn":
        withdraw(project)
    if day.kind == "crash":
        crash(project, now)
        return
    from flows.retrain import retrain

    retrain.with_options(flow_run_name=f"retrain {now:%Y-%m-%d}")(project, False, now, return_state=True)


def withdraw(project: Path) -> None:
    """What the owner does who is told that a night was refused: the last arrivals go, and the commit says so."""
    name = max((project / "arrivals").glob("*.parquet")).relative_to(project)
    git(project, "rm", "--quiet", f"{name}.dvc")
    (project / name).unlink()
    git(project, "commit", "--quiet", "-m", f"Withdrawn: {name.name}, whose labels are wrong")


def crash(project: Path, now: datetime) -> None:
    """A night in a process of its own, killed as by a power cut once a stage of its training is at work."""
    command = [sys.executable, "-m", "cli", "retrain", "--now", f"{now:%Y-%m-%dT%H:%M:%S}"]
    metrics = Paths(project).data(STAGE) / "metrics.json"
    output = Paths(project).scratch("simulate") / "crash.log"
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("wb") as file:
        child = subprocess.Popen(command, cwd=project, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
    deadline = time.monotonic() + PATIENCE
    while metrics.exists() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(child.pid, signal.SIGKILL) if child.poll() is None else None
    child.wait()


def last(project: Path) -> str:
    """What the newest record says."""
    rows = night.history(project)
    return f"{rows[-1]['outcome']}, {rows[-1]['reasons'][:160]}" if rows else "no record"


def judge(kinds: list[Kind], rows: list[dict[str, Any]]) -> list[Check]:
    """What has to be true of the history of a month."""
    by = {row["when"]: row for row in rows}
    nights = [(kind, by.get(FIRST + timedelta(days=number))) for number, kind in enumerate(kinds)]
    return list(checks([(kind, row or {}) for kind, row in nights]))


def checks(nights: list[tuple[Kind, dict[str, Any]]]) -> Iterator[Check]:
    """Each with what was found."""
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
    bad = kinds.index("bad labels")
    yield Check(outcomes[bad] == "refused", f"the bad labels were {outcomes[bad]}")
    fell = kinds.index("crash")
    yield Check(outcomes[fell] == "crashed", f"the night of the crash is on record as {outcomes[fell]}")
    yield Check(
        outcomes[fell + 1] in ("promoted", "refused") and rows[fell + 1].get("crashed_before") == 1,
        f"the night after it trained on what had arrived, and was {outcomes[fell + 1]}",
    )
    quiet = [number for number, kind in enumerate(kinds) if kind == "quiet" and number not in (0, fell + 1)]
    skipped = [number for number in quiet if outcomes[number] == "skipped" and rows[number].get("reasons")]
    yield Check(quiet == skipped, f"{len(skipped)} of {len(quiet)} nights without news trained nothing and said why")
    later = [number for number, outcome in enumerate(outcomes) if outcome == "promoted" and number]
    yield Check(bool(later), f"{len(later)} later nights promoted a better version")
