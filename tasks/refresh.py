"""New data in: texts and corrections become an immutable file of arrivals that DVC tracks and ingest reads.

A kill between any two steps changes nothing, because the next run gives the same result. Rows that were written are
known by then. A file that DVC does not track yet is added. Rows that were set aside are written under the same name.
Files of an inbox move last.
"""

import hashlib
import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import pandas as pd
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.core.stage import Paths
from pipeline.labelling import incoming, intake
from pipeline.labelling.arrivals import spell_as_known
from pipeline.labelling.intake import KnownRows
from pipeline.sources import arrival_files
from tasks.dvc.repository import open_repo
from tasks.git.command import advice, error_line, try_git
from tasks.inbox import SET_ASIDE_FOLDER, clear_inbox, inbox_folder, list_ready_files, read_files
from tasks.prefect_states.user_error import as_failed_state

STAND_IN = {"user.name": "gleaner", "user.email": "gleaner@localhost"}  # for commits where git knows no user
NAMED_FILES = 5  # in the line for people


@dataclass(frozen=True)
class IntakeCounts:
    """How many files and rows of one inbox were taken in, were known, or were set aside."""

    files: int = 0
    unreadable: int = 0
    new: int = 0
    labelled: int = 0  # of the new ones
    known: int = 0
    set_aside: dict[str, int] = field(default_factory=dict)  # reason: rows
    rows: int = 0  # of the files that could be read
    files_set_aside: tuple[str, ...] = ()  # names of the files with rows that were set aside
    left: int = 0  # entries of the inbox that were not read: empty, still being written, or no file
    version_unknown: int = 0  # corrections that were taken in or known and do not say which version answered

    def as_dict(self) -> dict[str, int]:
        """All counts by name."""
        plain = {"files": self.files, "unreadable": self.unreadable, "new": self.new, "labelled": self.labelled}
        return plain | {"known": self.known, "set_aside": sum(self.set_aside.values()), "left": self.left}

    def line(self, what: str) -> str:
        """One line for the log and for people; ``what`` came in: "texts" or "corrections"."""
        files = "1 file" if self.files == 1 else f"{self.files} files"
        line = f"{what}: {self.new} new ({self.labelled} labelled) and {self.known} known in {files}"
        if self.version_unknown:
            line += f", {self.version_unknown} without the version that answered"
        if self.unreadable:
            line += f", {self.unreadable} files unreadable"
        if self.left:
            line += f", {self.left} left in the inbox (empty, still being written, or a folder)"
        if not self.set_aside:
            return line
        why = ", ".join(f"{count} {reason}" for reason, count in sorted(self.set_aside.items()))
        names = ", ".join(self.files_set_aside[:NAMED_FILES]) + (", …" if self.files_set_aside[NAMED_FILES:] else "")
        return f"{line}; {sum(self.set_aside.values())} of {self.rows} rows set aside: {why}; in {names}"


@dataclass(frozen=True)
class Corrections:
    """The corrections that were taken in, with the version whose answer each corrects."""

    counts: IntakeCounts
    rows: pd.DataFrame  # id, text, label, version (null if unknown) of every valid correction, known ones included


@task(name="refresh", task_run_name="refresh", cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def take_in_texts(root: Path, params: Params, now: datetime) -> IntakeCounts:
    """Take in the new rows of the inbox, and of the database or dataset if ingest reads one."""
    paths, ingest = Paths(root), params.ingest
    track_arrivals(root, params)
    known = intake.load_known_rows(ingest, paths)
    inbox = params.refresh.inbox and incoming.check_inbox(params.refresh.inbox, "refresh.inbox", root)
    files, left = list_ready_files(inbox)
    tables, unreadable = read_files(files, lambda path: incoming.read_texts(path, ingest))
    if ingest.source != "files":
        tables[Path(ingest.source)] = incoming.query_texts(ingest, root)
    new, counts, _ = check_rows(tables, known, params, inbox)
    store_arrivals(new, arrival_files.next_file(root / ingest.arrivals, now), root, params)
    counts = with_file_counts(counts, unreadable, left)
    clear_inbox(inbox, tables, unreadable, now)
    get_run_logger().info(counts.line("texts"))
    return counts


@task(name="feedback", task_run_name="feedback", cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def take_in_corrections(root: Path, params: Params, now: datetime, versions: set[str]) -> Corrections:
    """Take in corrections of the model's answers as gold labels. ``versions`` are the registered version numbers."""
    ingest, feedback = params.ingest, params.feedback
    track_arrivals(root, params)
    known = intake.load_known_rows(ingest, Paths(root))
    inbox = feedback.path and incoming.check_inbox(feedback.path, "feedback.path", root)
    files, left = list_ready_files(inbox)
    tables, unreadable = read_files(files, lambda path: incoming.read_corrections(path, ingest, feedback.columns))
    if feedback.query:
        tables[Path("feedback.query")] = incoming.query_corrections(ingest, feedback, root)
    tables = {path: intake.reject_unknown_versions(rows, versions) for path, rows in tables.items()}
    new, counts, valid = check_rows(tables, known, params, inbox)
    store_arrivals(new, arrival_files.next_file(root / ingest.arrivals, now, corrections=True), root, params)
    counts = replace(counts, version_unknown=int(valid["version"].isna().sum()))
    counts = with_file_counts(counts, unreadable, left)
    clear_inbox(inbox, tables, unreadable, now)
    get_run_logger().info(counts.line("corrections"))
    return Corrections(counts, valid[["id", "text", "label", "version"]])


def check_rows(
    tables: dict[Path, pd.DataFrame], known: KnownRows, params: Params, inbox: Path | str | None
) -> tuple[pd.DataFrame, IntakeCounts, pd.DataFrame]:
    """The new rows of all files together, the counts, and every valid row, known ones included.

    Rows that are set aside are written to the inbox at once.
    """
    if not tables:
        return pd.DataFrame(), IntakeCounts(), pd.DataFrame(columns=["id", "text", "label", "version"])
    rows = spell_as_known(pd.concat(tables.values(), ignore_index=True), known.labels, params.ingest)
    divided = intake.divide_rows(rows, known, params.ingest)
    reasons = Counter(divided.set_aside["reason"])
    write_set_aside(divided.set_aside, inbox)
    new = intake.to_arrivals(divided.new)
    labelled = int(divided.new["label"].notna().sum())
    counts = IntakeCounts(len(tables), 0, len(new), labelled, divided.known, dict(reasons))
    counts = replace(counts, rows=len(rows), files_set_aside=tuple(divided.set_aside["file"].unique()))
    return new, counts, rows[~rows.index.isin(divided.set_aside.index)]


def with_file_counts(counts: IntakeCounts, unreadable: dict[Path, str], left: int) -> IntakeCounts:
    """The counts with the files that could not be read, and with the entries that stay in the inbox."""
    return replace(counts, files=counts.files + len(unreadable), unreadable=len(unreadable), left=left)


def write_set_aside(rows: pd.DataFrame, inbox: Path | str | None) -> None:
    """Write rows that were set aside, for people to read. The same rows always get the same file name."""
    if rows.empty or not inbox:
        return
    shown = intake.to_set_aside_table(rows)
    digest = hashlib.sha256(shown.to_csv(index=False).encode()).hexdigest()[:8]
    table.write_csv(shown, inbox_folder(inbox) / SET_ASIDE_FOLDER / f"rows-{digest}.csv")


def store_arrivals(rows: pd.DataFrame, path: Path, root: Path, params: Params) -> None:
    """Write a file of arrivals, if there are any, and let DVC and git track it."""
    if not rows.empty:
        arrival_files.write(rows, path)
        track_arrivals(root, params)


def track_arrivals(root: Path, params: Params) -> None:
    """Add every file of arrivals that DVC does not track yet, and commit its pointer if ``refresh.commit`` is set."""
    folder = root / params.ingest.arrivals
    arrival_files.remove_unfinished(folder)  # only one night runs at a time
    files = arrival_files.list_files(folder)
    untracked = [path for path in files if not path.with_name(path.name + ".dvc").exists()]
    if untracked:
        add_to_dvc(untracked, root)
    if params.refresh.commit:
        commit_pointers(sorted(str(path.relative_to(root)) for path in folder.glob("*.parquet.dvc")), root)


def add_to_dvc(paths: list[Path], root: Path) -> None:
    """Let DVC track these files. Raises UserError if it cannot."""
    logging.getLogger("dvc").setLevel(logging.WARNING)  # it advises to run `git add`, which `commit_pointers` does
    try:
        with open_repo(root) as repo:
            repo.add([str(path) for path in paths])
    except UserError as error:
        raise UserError(
            f"ingest.arrivals: expected DVC to keep what arrived, found: {error}; nothing is lost"
        ) from None


def commit_pointers(files: list[str], root: Path) -> None:
    """Commit those of the files that differ from git's. Other changes and other staged files stay uncommitted."""
    if not files:
        return
    changed = run_git_or_explain(root, "status", "--porcelain", "--", *files)
    if not changed:
        return
    run_git_or_explain(root, "add", "--", *files)
    message = f"Arrivals: {', '.join(Path(line[3:]).name.removesuffix('.dvc') for line in changed.splitlines())}"
    run_git_or_explain(root, "commit", "--quiet", "--no-verify", "-m", message, "--", *files)


def run_git_or_explain(root: Path, *words: str) -> str:
    """Run git and return what it prints, under the name gleaner if no user is set. Raises UserError if it fails."""
    unset = [part for part in ("user.name", "user.email") if not try_git(root, "config", part).stdout.strip()]
    identity = [word for part in unset for word in ("-c", f"{part}={STAND_IN[part]}")]
    done = try_git(root, *identity, *words)
    if done.returncode:
        reason, fix = error_line(done), advice(root, done)
        raise UserError(f"refresh.commit: expected git to keep what arrived, found: {reason}; nothing is lost; {fix}")
    return done.stdout.decode(errors="surrogateescape")
