"""The objects in a project's DVC cache and in a remote that is a folder of the project: listed, measured, removed."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError
from tasks.dvc.lock_file import Lock, outputs
from tasks.dvc.store import DvcStore

CACHE, REMOTE = "DVC cache", "DVC remote"


@dataclass(frozen=True)
class Objects:
    """One place that keeps objects, with DVC's own object database for it."""

    name: str  # CACHE or REMOTE
    folder: Path  # with files named <2 digits>/<the rest of the MD5>
    database: Any

    def list(self) -> Iterator[tuple[str, Path]]:
        """Each object: its MD5 (that of a folder's list ends in .dir) and its file."""
        if self.folder.is_dir():
            for path in sorted(self.folder.glob("[0-9a-f][0-9a-f]/*")):
                if path.is_file() and not path.name.endswith(".tmp"):
                    yield path.parent.name + path.name, path

    def remove(self, files: Iterable[Path]) -> None:
        """Remove these files, and let DVC forget that it saw them there: otherwise it would not push them again."""
        from dvc_data.hashfile.db import get_index

        for path in files:
            path.unlink(missing_ok=True)
        get_index(self.database).clear()


def object_places(store: DvcStore, root: Path) -> tuple[list[Objects], list[str]]:
    """Cache and default remote where they lie in the project, and a note for each that lies elsewhere.

    What lies elsewhere may hold the data of other projects.
    """
    local, notes = local_places(store)
    inside = [place for place in local if place.folder.resolve().is_relative_to(root.resolve())]
    outside = [place.name for place in local if place not in inside]
    text = "{}: it lies outside the project, where others may use it, so that it stays as it is"
    return inside, [text.format(name) for name in [*outside, *notes]]


def local_places(store: DvcStore) -> tuple[list[Objects], list[str]]:
    """Cache and default remote where they are folders of this machine, and the names of those that are not."""
    places, others = [], []
    for name, database in ((CACHE, store.repo.cache.local), (REMOTE, store.remote())):
        if database is None:
            continue
        protocol = database.fs.protocol
        if "local" in ([protocol] if isinstance(protocol, str) else protocol):
            places.append(Objects(name, Path(database.path), database))
        else:
            others.append(name)
    return places, others


def used_by_project(store: DvcStore, commits: list[str]) -> set[str]:
    """The MD5s that the working tree, any branch, tag or experiment, or one of these commits names.

    Hold DVC's lock for the call, and until the answer was used: a run may name others at any time.
    Raises UserError if DVC cannot read one of them.
    """
    from dvc.exceptions import DvcException

    logging.getLogger("dvc").setLevel(logging.ERROR)  # it warns of each stage that has not run yet
    try:
        used = store.repo.used_objs(all_branches=True, all_tags=True, all_experiments=True, revs=commits)
    except DvcException as error:
        raise UserError(
            f"DVC: expected to find out which content is needed, found: {error}; nothing was removed"
        ) from None
    return {info.value for infos in used.values() for info in infos if info.value}


def used_by_lock(store: DvcStore, lock: Lock) -> set[str]:
    """The MD5s of all outputs in a dvc.lock, with the files of its folders."""
    used: set[str] = set()
    for out in outputs(lock).values():
        if "md5" in out:
            used |= {out["md5"], *(store.files(out) or {}).values()}
    return used
