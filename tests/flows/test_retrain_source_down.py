"""A night whose database is out of reach retries, and goes on as soon as the database answers."""

import sqlite3
import subprocess
import threading
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from pipeline.core.params import load_params
from tests.support import month_project
from tests.support.flow_project import announce_server
from tests.support.real_project import git, set_params, start_tool, wait_for_tool

NEW = [("where is the invoice of last month", "invoice"), ("the app shows no invoice at all", "invoice")]
DOWN = "expected a SQLite file, found no db/tickets.db"
QUERY = "SELECT * FROM tickets WHERE part = '{}' ORDER BY number"


@pytest.fixture
def root(tmp_path: Path, prefect_server: str) -> Path:
    """A project with the demo's rows in a database that is no dependency of a stage: DVC does not see its changes."""
    root = month_project.make_project(tmp_path)
    (root / "db").mkdir()
    with closing(sqlite3.connect(root / "db" / "tickets.db")) as base, base:
        for part in ("train", "test", "unlabelled"):
            rows = pd.read_csv(root / "data" / "demo" / f"{part}.csv").assign(part=part)
            rows.reset_index(names="number").to_sql("tickets", base, if_exists="append", index=False)
    parts = {part: [QUERY.format(part)] for part in ("train", "test", "unlabelled")}
    set_params(
        root,
        ingest={"source": "sql", "url": "sqlite:///db/tickets.db", **parts},
        refresh={"inbox": None},
        retrain={"retries": 6, "retry_seconds": 1},
    )
    (root / ".gitignore").write_text((root / ".gitignore").read_text() + "/db\n")
    git(root, "commit", "-q", "-am", "a database")
    announce_server(root, prefect_server)
    return root


def run_night(root: Path, *, down: bool) -> subprocess.CompletedProcess[str]:
    """Run `gleaner retrain`; with ``down``, the database comes back after the first failed attempt."""
    database, away = root / "db", root / "db-away"
    if not down:
        return wait_for_tool(start_tool(root, "gleaner", "retrain"))
    database.rename(away)
    process = start_tool(root, "gleaner", "retrain")
    lines: list[str] = []

    def restore_at_retry() -> None:
        for line in process.stderr or ():
            lines.append(line)
            if "Retry" in line and away.exists():
                away.rename(database)

    watcher = threading.Thread(target=restore_at_retry)
    watcher.start()
    out = process.stdout.read() if process.stdout else ""
    watcher.join(300)
    return subprocess.CompletedProcess(process.args, process.wait(300), out, "".join(lines))


@pytest.mark.slow
def test_a_source_that_is_down_is_read_again(root: Path) -> None:
    first = run_night(root, down=False)
    assert first.returncode == 0, first.stdout + first.stderr
    with closing(sqlite3.connect(root / "db" / "tickets.db")) as base, base:
        label = base.execute("SELECT intent FROM tickets WHERE part = 'train'").fetchone()[0]
        rows = [(900 + i, text, label, "train") for i, (text, _) in enumerate(NEW)]
        base.executemany("INSERT INTO tickets (number, text, intent, part) VALUES (?, ?, ?, ?)", rows)
    second = run_night(root, down=True)  # ingest is up to date: the refresh reads the source
    assert second.returncode == 0, second.stdout + second.stderr
    assert "texts: 2 new (2 labelled)" in second.stdout + second.stderr
    assert DOWN in second.stderr
    third = run_night(root, down=True)  # arrivals changed the inputs of ingest: the stage reads it
    assert third.returncode == 0, third.stdout + third.stderr
    assert DOWN in third.stderr
    rows_read = pd.read_parquet(root / "data" / "ingest" / "train.parquet")["text"]
    assert {text for text, _ in NEW} <= set(rows_read)
    from tasks.registry import nights

    history = nights.all_nights(root, load_params(root / "params.yaml"))
    assert [row["outcome"] for row in history] == ["promoted", "skipped", "skipped"]


@pytest.mark.slow
def test_a_source_that_stays_down_ends_the_night_with_its_reason(root: Path) -> None:
    set_params(root, retrain={"retries": 1, "retry_seconds": 0.5})
    (root / "db").rename(root / "db-away")
    done = wait_for_tool(start_tool(root, "gleaner", "retrain"))
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stdout.startswith("failed\n  ingest.url: " + DOWN)
    assert done.stderr.count("Retry 1/1 will start") == 1
