"""Where the project keeps the wanted rows, and what is to be done there."""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from pipeline.core.params import Params, read_yaml
from pipeline.labelling.forgetting import LARGEST, NOT_SEARCHED, Found, Wanted, may_hold_rows, search_file
from pipeline.labelling.operations_log import LOG
from pipeline.serving.text_numbers import SECRET_FILE
from tasks.backup.project_files import DATABASE, SKIPPED_PATHS, list_tree
from tasks.dvc.lock_file import raw_data
from tasks.dvc.objects import Objects
from tasks.git.command import try_git
from tasks.inbox import SET_ASIDE_FOLDER, TAKEN_FOLDER

# object: remove it from DVC | vectors: delete them | remove: the file can be made again | rewrite: without the rows
# arrivals: rewrite, and let DVC track it | left: people have to do it | unsearched: nobody knows
# absent: DVC keeps the only copy of this file, with the rows of others
# numbers: rewrite traffic without the texts | untold: nobody can tell whose vectors it has | reference: remove a folder
Action = Literal[
    "object",
    "vectors",
    "remove",
    "rewrite",
    "arrivals",
    "left",
    "unsearched",
    "absent",
    "numbers",
    "untold",
    "reference",
]
SCRATCH, EMBEDDINGS, RUNS = "data/scratch", "data/scratch/embeddings", "mlruns"


@dataclass(frozen=True)
class Finding:
    """A file with wanted rows; ``name`` is its path in the project, or its MD5 in a DVC cache or remote."""

    place: str  # "files", "DVC cache" or "DVC remote"
    name: str
    path: Path
    action: Action
    rows: tuple[int, ...] = ()  # numbers of its records, from 1; empty if it has none
    masked: int = 0  # of its records, or 1 for a file without: what only the masked form of a given text names

    @property
    def rank(self) -> int:
        """The order in which findings are dealt with.

        The tables of the stages come last: while one of them is there, a forget that was killed still finds the texts.
        """
        if self.action == "arrivals":
            return 2
        return 3 if self.action == "rewrite" and self.name.startswith("data/") else 1


def find_in_objects(places: list[Objects], wanted: Wanted, kept: set[str]) -> Iterator[Finding]:
    """The objects of DVC that hold wanted rows, or may hold some unseen, but for those in ``kept``.

    Lists of folders hold no text.
    """
    answers: dict[str, Action | None] = {}
    masked: dict[str, int] = {}
    sure = wanted.without_masked()
    for place in places:
        for md5, path in place.list():
            if md5.endswith(".dir") or md5 in kept:
                continue
            if md5 not in answers:
                found = search_file(path, wanted)
                answers[md5] = None if found is None else "object"
                masked[md5] = count_masked(path, found, sure)
                if found is NOT_SEARCHED:
                    answers[md5] = "unsearched" if may_hold_rows(path) else None
            if (action := answers[md5]) is not None:
                yield Finding(place.name, md5, path, action, masked=masked[md5])


def find_in_files(
    root: Path, params: Params, wanted: Wanted, ignored: set[Path], cache: Path | None, pointed: set[str]
) -> Iterator[Finding]:
    """The project's files that hold wanted rows. ``ignored`` are the folders of DVC's content, and other files.

    Files that people let DVC track (``pointed``) are their own. A link into the DVC ``cache`` counts as the file that
    it leads to.
    """
    inside = {path.relative_to(root).as_posix() for path in ignored if path.is_relative_to(root)}
    skipped = (SKIPPED_PATHS - {SCRATCH, ".prefect"}) | inside | {LOG.as_posix()}
    if params.monitor.path:  # the key of the numbers of texts is 32 random bytes
        skipped |= {os.path.normpath(f"{params.monitor.path}/{SECRET_FILE}")}
    own_pointed = {name for name in pointed if not is_below(name, params.ingest.arrivals)}
    owned = owned_paths(root, params) | own_pointed
    sure = wanted.without_masked()
    for name in list_tree(root, "", skipped, cache).files:
        path = root / name
        if name.startswith(f"{EMBEDDINGS}/"):
            if name.endswith(".sqlite") and count_vectors(path, wanted):
                yield Finding("files", name, path, "vectors")
            continue
        found = search_file(path, wanted)
        if found is not None:
            action = choose_action(root, name, found, params, owned)
            if action is not None:
                yield Finding("files", name, path, action, found.rows, count_masked(path, found, sure))


def count_masked(path: Path, found: Found | None, sure: Wanted | None) -> int:
    """How many of a file's records are found only by the masked form of a given text; 1 for a file without records.

    ``sure`` is what is wanted `Wanted.without_masked`.
    """
    if found is None or found is NOT_SEARCHED or sure is None:
        return 0
    exact = search_file(path, sure)
    if not found.rows:
        return int(exact is None)
    return len({*found.rows} - {*(exact.rows if exact else ())})


def owned_paths(root: Path, params: Params) -> set[str]:
    """The files and folders that are people's own: what git tracks, and the raw data of the stages."""
    tracked = set(try_git(root, "ls-files", "-z").stdout.decode(errors="surrogateescape").split("\0"))
    lock = read_yaml(root / "dvc.lock") if (root / "dvc.lock").is_file() else {"stages": {}}
    raw = {path for path in raw_data(lock) if not is_below(path, params.ingest.arrivals)}
    return (tracked | {os.path.normpath(path) for path in (*raw, params.ingest.path)}) - {"", "."}


def choose_action(root: Path, name: str, found: Found, params: Params, owned: set[str]) -> Action | None:
    """What is to be done with a file; None for one that cannot be searched and that no person has put there.

    ``owned`` are the files and folders that are people's own.
    """
    inboxes = [path for path in (params.refresh.inbox, params.feedback.path) if path]
    in_inbox = any(is_below(name, path) for path in inboxes)
    in_arrivals = is_below(name, params.ingest.arrivals)
    if found is NOT_SEARCHED:
        return "unsearched" if in_inbox or in_arrivals or (root / name).stat().st_size > LARGEST else None
    can_be_rewritten = found.rest is not None
    above = {name, *(parent.as_posix() for parent in PurePosixPath(name).parents)}
    if above & owned or name.startswith(DATABASE):
        return "left"
    if in_arrivals:
        return "arrivals" if can_be_rewritten else "left"
    if in_inbox:
        was_read = {TAKEN_FOLDER, SET_ASIDE_FOLDER} & set(Path(name).parts)
        return "rewrite" if can_be_rewritten else "remove" if was_read else "left"
    if is_below(name, SCRATCH):
        return "remove"
    if is_below(name, RUNS):
        return "left" if "/bundle/" in name else "remove"
    if can_be_rewritten:
        return "rewrite"
    stages = read_yaml(root / "dvc.yaml")["stages"] if (root / "dvc.yaml").is_file() else {}
    return "remove" if any(is_below(name, f"data/{stage}") for stage in stages) else "left"


def is_below(name: str, folder: str) -> bool:
    """Whether a path is a folder (or file) of the project or lies below it."""
    folder = folder.strip("/").removeprefix("./")
    return name == folder or name.startswith(f"{folder}/")


def vector_keys(wanted: Wanted) -> list[bytes]:
    """The keys of the wanted texts in a store of vectors."""
    return [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16] for text in sorted(wanted.spellings)]


def count_vectors(store: Path, wanted: Wanted) -> int:
    """How many wanted texts have a vector in a store of vectors; 0 if it is none."""
    try:
        with closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as database:
            query = "SELECT count(*) FROM vector WHERE key = ?"
            return sum(database.execute(query, (key,)).fetchone()[0] for key in vector_keys(wanted))
    except sqlite3.Error:
        return 0


def delete_vectors(store: Path, wanted: Wanted) -> None:
    """Delete the vectors of the wanted texts, and the space that they took."""
    with closing(sqlite3.connect(store, timeout=60)) as database:
        database.execute("PRAGMA secure_delete = ON")
        with database:
            database.executemany("DELETE FROM vector WHERE key = ?", [(key,) for key in vector_keys(wanted)])
        database.execute("VACUUM")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
