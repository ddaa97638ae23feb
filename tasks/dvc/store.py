"""Recorded outputs by their MD5, from the project's DVC cache or its default remote.

Neither is written to, with one exception: `find_content` leaves in the cache what it had to fetch.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import UserError
from tasks.dvc.lock_file import LockEntry
from tasks.dvc.repository import open_repo

if TYPE_CHECKING:
    from dvc.repo import Repo

LOG = logging.getLogger(__name__)
FOLDER_SUFFIX = ".dir"  # ends the MD5 of a folder; the content under that MD5 lists the folder's files


class DvcStore:
    """The cache and the default remote of one project; `open_dvc_store` makes it."""

    def __init__(self, repo: "Repo") -> None:
        self.repo = repo
        self._remote: Any = None

    def cached(self, md5: str) -> Path | None:
        """The file in the cache; None if it is not there."""
        path = Path(self.repo.cache.local.oid_to_path(md5))
        return path if path.is_file() else None

    def intact(self, md5: str) -> Path | None:
        """The file in the cache; None if it is not there, or if its content is not what its name says."""
        path = self.cached(md5)
        return path if path is not None and file_md5(path) == md5.removesuffix(FOLDER_SUFFIX) else None

    def pull(self, md5: str) -> Path | None:
        """Fetch the file from the default remote into the cache, and return it; None if that fails or it is damaged."""
        from dvc.exceptions import DvcException
        from dvc_data.hashfile.hash_info import HashInfo

        self.remove_if_damaged(md5)  # DVC fetches nothing that it believes to have
        try:
            self.repo.cloud.pull([HashInfo("md5", md5)])
        except (DvcException, OSError):
            return None
        return None if self.remove_if_damaged(md5) else self.cached(md5)

    def remove_if_damaged(self, md5: str) -> bool:
        """Whether the cache had another content under this name, which is removed then."""
        path = self.cached(md5)
        if path is None or file_md5(path) == md5.removesuffix(FOLDER_SUFFIX):
            return False
        path.unlink()
        LOG.warning("the DVC cache held another content under the MD5 %s; removed", md5)
        return True

    def content(self, md5: str) -> bytes | None:
        """The bytes of the file, from the cache, else from the remote; None if neither has it intact."""
        path = self.intact(md5)
        if path is not None:
            return path.read_bytes()
        remote = self.remote()
        if remote is None or not remote.exists(md5):
            return None
        content: bytes = remote.fs.cat_file(remote.oid_to_path(md5))
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        return content if digest == md5.removesuffix(FOLDER_SUFFIX) else None

    def files(self, out: LockEntry) -> dict[str, str] | None:
        """The files of an output: MD5 by path inside it ("" for a plain file); None if a folder's list is lost."""
        if not out["md5"].endswith(FOLDER_SUFFIX):
            return {"": out["md5"]}
        listing = self.content(out["md5"])
        return None if listing is None else {part["relpath"]: part["md5"] for part in json.loads(listing)}

    def restore(self, out: LockEntry, target: Path) -> None:
        """Copy an output to ``target``.

        Raises UserError if a file is neither in the cache nor in the remote, or its content is not what its name says.
        """
        files = self.files(out)
        if files is None:
            raise missing_content_error(out)
        for name, md5 in files.items():
            copy = target / name if name else target
            copy.parent.mkdir(parents=True, exist_ok=True)
            path, remote = self.cached(md5), self.remote()
            if path is not None:
                shutil.copyfile(path, copy)
            elif remote is not None and remote.exists(md5):
                remote.fs.get_file(remote.oid_to_path(md5), str(copy))
            else:
                raise missing_content_error(out)
            if file_md5(copy) != md5:
                raise UserError(
                    f"{out['path']}: expected the content with MD5 {md5}, found another under that name; the DVC cache "
                    "or remote is damaged: remove that object and `dvc fetch` it from another copy"
                )

    def location(self, outs: Iterable[LockEntry]) -> str:
        """The URL of a DVC remote with these outputs: the cache if it has all of them, else the default remote.

        Raises UserError if the cache lacks one and there is no remote.
        """
        file_lists = [self.files(out) for out in outs]
        if all(files is not None and all(map(self.cached, files.values())) for files in file_lists):
            return str(Path(self.repo.cache.local.path).parents[1])  # the cache keeps its files in files/md5
        remote = self.remote()
        if remote is None:
            raise UserError("expected the recorded outputs in the DVC cache or a default remote, found neither")
        return str(self.repo.config["remote"][self.repo.config["core"]["remote"]]["url"])

    def remote(self) -> Any:
        """DVC's object database of the default remote; None if there is no remote."""
        from dvc.exceptions import DvcException

        if self._remote is None:
            try:
                self._remote = self.repo.cloud.get_remote_odb()
            except DvcException:
                self._remote = False
        return self._remote or None


@contextmanager
def open_dvc_store(root: Path) -> Iterator[DvcStore]:
    """The cache and remote of the project in ``root``, for the block.

    Raises UserError if DVC cannot read the project.
    """
    with open_repo(root) as repo:
        yield DvcStore(repo)


def find_content(root: Path, path: str, md5: str) -> Path:
    """A file with the recorded content: in the working tree, else in the cache, else fetched from the remote.

    Raises UserError if none of them has it.
    """
    in_tree = root / path
    if in_tree.exists() and file_md5(in_tree) == md5:
        return in_tree
    with open_dvc_store(root) as dvc_store:
        file = dvc_store.intact(md5) or dvc_store.pull(md5)
    if file is None:
        raise UserError(
            f"{path}: expected the content with MD5 {md5} that the version was made with, found it neither in the "
            "working tree nor in the DVC cache nor in the remote; `dvc pull` on a machine that has it, then `dvc push`"
        )
    return file


def output_files(output: Path) -> dict[str, str]:
    """The files of an output on disk, in the form of `DvcStore.files`: MD5 by path inside it."""
    if not output.is_dir():
        return {"": file_md5(output)} if output.exists() else {}
    return {path.relative_to(output).as_posix(): file_md5(path) for path in sorted(output.rglob("*")) if path.is_file()}


def file_md5(path: Path) -> str:
    """The MD5 of a file, by which DVC names its content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def missing_content_error(out: LockEntry) -> UserError:
    """The error to raise if neither cache nor remote has an output."""
    return UserError(
        f"{out['path']}: expected its recorded content {out['md5']} in the DVC cache or the default remote, found it "
        "in neither; add the remote that it was pushed to (`dvc remote list`)"
    )
