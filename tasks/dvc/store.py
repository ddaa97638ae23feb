"""Recorded outputs by their MD5, out of the project's DVC cache or its default remote.

Neither is written to, but for `find`, which leaves in the cache what it had to fetch.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import UserError
from tasks.dvc.lock_file import Entry

if TYPE_CHECKING:
    from dvc.repo import Repo

FOLDER = ".dir"  # ends the MD5 of a folder, whose object lists its files


class Objects:
    """The objects of one project; made by `objects`."""

    def __init__(self, repo: "Repo") -> None:
        self.repo = repo
        self._remote: Any = None

    def cached(self, md5: str) -> Path | None:
        """The object in the cache, if it is there."""
        path = Path(self.repo.cache.local.oid_to_path(md5))
        return path if path.is_file() else None

    def intact(self, md5: str) -> Path | None:
        """The same; one that was changed there does not count."""
        path = self.cached(md5)
        return path if path is not None and digest(path) == md5 else None

    def pulled(self, md5: str) -> Path | None:
        """The object, after fetching it into the cache from the default remote; None when that fails."""
        from dvc.exceptions import DvcException
        from dvc_data.hashfile.hash_info import HashInfo

        try:
            self.repo.cloud.pull([HashInfo("md5", md5)])
        except (DvcException, OSError):
            return None
        return self.intact(md5)

    def content(self, md5: str) -> bytes | None:
        """The object's bytes, from the cache, else from the remote; None where neither has it."""
        path = self.cached(md5)
        if path is not None:
            return path.read_bytes()
        remote = self.remote()
        found = remote and remote.exists(md5) and remote.fs.cat_file(remote.oid_to_path(md5))
        return found or None

    def files(self, out: Entry) -> dict[str, str] | None:
        """The files of an output, MD5 by path inside it ("" for a plain file); None where its list is lost."""
        if not out["md5"].endswith(FOLDER):
            return {"": out["md5"]}
        listing = self.content(out["md5"])
        return None if listing is None else {part["relpath"]: part["md5"] for part in json.loads(listing)}

    def restore(self, out: Entry, place: Path) -> None:
        """Copy an output to ``place``; UserError when an object is nowhere or is not what its name says."""
        files = self.files(out)
        if files is None:
            raise lost(out)
        for name, md5 in files.items():
            target = place / name if name else place
            target.parent.mkdir(parents=True, exist_ok=True)
            path, remote = self.cached(md5), self.remote()
            if path is not None:
                shutil.copyfile(path, target)
            elif remote is not None and remote.exists(md5):
                remote.fs.get_file(remote.oid_to_path(md5), str(target))
            else:
                raise lost(out)
            if digest(target) != md5:
                raise UserError(
                    f"{out['path']}: expected the content with MD5 {md5}, found another under that name; the DVC cache "
                    "or remote is damaged: remove that object and `dvc fetch` it from another copy"
                )

    def place(self, outs: Iterable[Entry]) -> str:
        """Where another DVC project finds these outputs as in a remote: the cache, else what the remote is."""
        files = [self.files(out) for out in outs]
        if all(found is not None and all(map(self.cached, found.values())) for found in files):
            return str(Path(self.repo.cache.local.path).parents[1])  # the cache keeps objects in files/md5
        remote = self.remote()
        if remote is None:
            raise UserError("expected the recorded outputs in the DVC cache or a default remote, found neither")
        return str(self.repo.config["remote"][self.repo.config["core"]["remote"]]["url"])

    def remote(self) -> Any:
        """The default remote's objects; None where there is no remote."""
        from dvc.exceptions import DvcException

        if self._remote is None:
            try:
                self._remote = self.repo.cloud.get_remote_odb()
            except DvcException:
                self._remote = False
        return self._remote or None


@contextmanager
def objects(root: Path) -> Iterator[Objects]:
    """The objects of the project in ``root``; UserError where DVC cannot read one there."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        opened = Repo(str(root), _wait_for_lock=True)
    except DvcException as error:
        raise UserError(f"{root}: expected a project that DVC can read, found: {error}; run it there") from None
    with opened as repo:
        yield Objects(repo)


def find(root: Path, path: str, md5: str) -> Path:
    """A file with the content that was recorded, wherever it still is; UserError when it is nowhere."""
    here = root / path
    if here.exists() and digest(here) == md5:
        return here
    with objects(root) as kept:
        place = kept.intact(md5) or kept.pulled(md5)
    if place is None:
        raise UserError(
            f"{path}: expected the content with MD5 {md5} that the version was made with, found it neither in the "
            "working tree nor in the DVC cache nor in the remote; `dvc pull` on a machine that has it, then `dvc push`"
        )
    return place


def made(place: Path) -> dict[str, str]:
    """The files of an output as it lies there, as `Objects.files` gives those of a recorded one."""
    if not place.is_dir():
        return {"": digest(place)} if place.exists() else {}
    return {path.relative_to(place).as_posix(): digest(path) for path in sorted(place.rglob("*")) if path.is_file()}


def digest(path: Path) -> str:
    """MD5 of a file, which is what DVC names it by."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def lost(out: Entry) -> UserError:
    """Neither cache nor remote has it."""
    return UserError(
        f"{out['path']}: expected its recorded content {out['md5']} in the DVC cache or the default remote, found it "
        "in neither; add the remote that it was pushed to (`dvc remote list`)"
    )
