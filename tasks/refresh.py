"""New data in: texts and corrections become an immutable file of arrivals that DVC tracks and ingest reads.

Whatever step a kill falls between, the next run gives the same: rows that were written are known by then, a file that
DVC does not track yet is added, what was set aside is written under the same name, and an inbox file moves last.
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
from pipeline.core.params import Params, read_yaml
from pipeline.core.stage import Paths
from pipeline.labelling import arrivals
from pipeline.labelling.arrivals import Intake, Known
from pipeline.sources import arrived
from tasks.dvc import store
from tasks.git import command
from tasks.inbox import ASIDE, clear, folder_of, read_all, waiting
from tasks.prefect_states.user_error import as_failed_state


@dataclass(frozen=True)
class IntakeCounts:
    """What came of one inbox: counts only."""

    files: int = 0
    unreadable: int = 0
    new: int = 0
    labelled: int = 0  # of the new ones
    known: int = 0
    aside: dict[str, int] = field(default_factory=dict)  # reason: rows
    left: int = 0  # entries of the inbox that were not read: empty, still being written, or no file

    def numbers(self) -> dict[str, int]:
        """All counts by name."""
        plain = {"files": self.files, "unreadable": self.unreadable, "new": self.new, "labelled": self.labelled}
        return plain | {"known": self.known, "set_aside": sum(self.aside.values()), "left": self.left}

    def line(self, what: str) -> str:
        """One line for the log and for people."""
        said = f"{what}: {self.new} new ({self.labelled} labelled) and {self.known} known in {self.files} files"
        if self.unreadable:
            said += f", {self.unreadable} files unreadable"
        if self.left:
            said += f", {self.left} left in the inbox (empty, still being written, or a folder)"
        why = ", ".join(f"{count} {reason}" for reason, count in sorted(self.aside.items()))
        return f"{said}; set aside: {why}" if why else said


@dataclass(frozen=True)
class Corrections:
    """Corrections taken in, and each version's answers to the texts of those whose right label was accepted."""

    taken: IntakeCounts
    rows: pd.DataFrame  # id, text, label, version of every correction that holds, known ones included


@task(name="refresh", task_run_name="refresh", cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def refresh(root: Path, params: Params, now: datetime) -> IntakeCounts:
    """Take in what lies in the inbox, or what the database or dataset gives by now; new rows only."""
    paths, ingest = Paths(root), params.ingest
    adopt(root, params)
    there = arrivals.known(ingest, paths)
    inbox = params.refresh.inbox and arrivals.check_folder(params.refresh.inbox, "refresh.inbox", root)
    files, left = waiting(inbox)
    tables, unreadable = read_all(files, lambda path: arrivals.texts(path, ingest))
    if ingest.source != "files":
        tables[Path(ingest.source)] = arrivals.source_rows(ingest, root)
    kept, taken, _ = judge_all(tables, there, params, inbox)
    keep(kept, arrived.next_file(root / ingest.arrivals, now), root, params)
    done = taken_with(taken, unreadable, left)
    clear(inbox, tables, unreadable, now)
    get_run_logger().info(done.line("texts"))
    return done


@task(name="feedback", task_run_name="feedback", cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def feedback(root: Path, params: Params, now: datetime, versions: set[str]) -> Corrections:
    """Take in corrections of the model's answers as gold labels; ``versions`` are the registered ones."""
    ingest, own = params.ingest, params.feedback
    adopt(root, params)
    there = arrivals.known(ingest, Paths(root))
    inbox = own.path and arrivals.check_folder(own.path, "feedback.path", root)
    files, left = waiting(inbox)
    tables, unreadable = read_all(files, lambda path: arrivals.corrections_of(path, ingest, own.columns))
    if own.query:
        tables[Path("feedback.query")] = arrivals.corrections_table(ingest, own, root)
    tables = {path: arrivals.check_versions(rows, versions) for path, rows in tables.items()}
    kept, taken, sound = judge_all(tables, there, params, inbox)
    keep(kept, arrived.next_file(root / ingest.arrivals, now, corrections=True), root, params)
    done = taken_with(taken, unreadable, left)
    clear(inbox, tables, unreadable, now)
    get_run_logger().info(done.line("corrections"))
    return Corrections(done, sound[["id", "text", "label", "version"]])


def judge_all(
    tables: dict[Path, pd.DataFrame], there: Known, params: Params, inbox: Path | str | None
) -> tuple[pd.DataFrame, IntakeCounts, pd.DataFrame]:
    """New rows of all files together, the counts, and every row that holds; what is set aside is written first."""
    if not tables:
        return pd.DataFrame(), IntakeCounts(), pd.DataFrame(columns=["id", "text", "label", "version"])
    rows = pd.concat(tables.values(), ignore_index=True)
    judged: Intake = arrivals.judge(rows, there, params.ingest)
    aside = Counter(judged.aside["reason"])
    write_aside(judged.aside, inbox)
    new = arrivals.to_write(judged.new)
    labelled = int(judged.new["label"].notna().sum())
    taken = IntakeCounts(len(tables), 0, len(new), labelled, judged.known, dict(aside))
    return new, taken, rows[~rows.index.isin(judged.aside.index)]


def taken_with(taken: IntakeCounts, unreadable: dict[Path, str], left: int) -> IntakeCounts:
    """The counts with the files that could not be read, and with what was left in the inbox."""
    return replace(taken, files=taken.files + len(unreadable), unreadable=len(unreadable), left=left)


def write_aside(rows: pd.DataFrame, inbox: Path | str | None) -> None:
    """Rows that were set aside, for people, under a name that the same rows always get."""
    if rows.empty or not inbox:
        return
    shown = arrivals.set_aside(rows)
    mark = hashlib.sha256(shown.to_csv(index=False).encode()).hexdigest()[:8]
    table.write_csv(shown, folder_of(inbox) / ASIDE / f"rows-{mark}.csv")


def keep(rows: pd.DataFrame, path: Path, root: Path, params: Params) -> None:
    """Write a file of arrivals, if there are any, and have DVC and git know of it."""
    if not rows.empty:
        arrived.write(rows, path)
        adopt(root, params)


def check_whole(root: Path, params: Params) -> None:
    """UserError where a file of arrivals that DVC tracks is gone or changed: training would go on without its rows."""
    for pointer in sorted((root / params.ingest.arrivals).glob("*.parquet.dvc")):
        file = pointer.with_suffix("")
        if file.exists() and store.digest(file) == read_yaml(pointer)["outs"][0]["md5"]:
            continue
        place, found = pointer.relative_to(root), "another" if file.exists() else "none"
        raise UserError(
            f"{file.relative_to(root)}: expected the file that DVC keeps, found {found}; `dvc checkout {place}` brings "
            f"it back, `dvc pull {place}` where only the remote has it; `git rm {place}` gives its rows up"
        )


def adopt(root: Path, params: Params) -> None:
    """Track every file of arrivals that DVC does not know yet, and commit what git does not."""
    folder = root / params.ingest.arrivals
    strays = [path for path in arrived.files(folder) if not path.with_name(path.name + ".dvc").exists()]
    if strays:
        track(strays, root)
    if params.refresh.commit:
        commit(sorted(str(path.relative_to(root)) for path in folder.glob("*.parquet.dvc")), root)


def track(paths: list[Path], root: Path) -> None:
    """Let DVC keep these files; UserError where it cannot."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.WARNING)  # what to tell git next is done below
    try:
        with Repo(str(root), _wait_for_lock=True) as repo:
            repo.add([str(path) for path in paths])
    except DvcException as error:
        raise UserError(
            f"ingest.arrivals: expected DVC to keep what arrived, found: {error}; nothing is lost"
        ) from None


def commit(files: list[str], root: Path) -> None:
    """Commit those of the files that git does not hold as they are, and nothing else that is changed or staged."""
    if not files:
        return
    changed = ask_git(root, "status", "--porcelain", "--", *files)
    if not changed:
        return
    ask_git(root, "add", "--", *files)
    message = f"Arrivals: {', '.join(Path(line[3:]).name.removesuffix('.dvc') for line in changed.splitlines())}"
    ask_git(root, "commit", "--quiet", "--no-verify", "-m", message, "--", *files)


def ask_git(root: Path, *words: str) -> str:
    """What git says; UserError with the line that tells its fault where it fails. It needs no name to be set."""
    named = command.try_git(root, "config", "user.email").stdout
    own = [] if named else ["-c", "user.name=gleaner", "-c", "user.email=gleaner@localhost"]
    done = command.try_git(root, *own, *words)
    if done.returncode:
        lines = ((done.stderr.strip() or done.stdout.strip()).decode(errors="replace") or "no reason").splitlines()
        said = next((line for line in lines if line.startswith(("fatal: ", "error: "))), lines[-1])
        raise UserError(f"refresh.commit: expected git to keep what arrived, found: {said}; nothing is lost, mend it")
    return done.stdout.decode(errors="surrogateescape")
