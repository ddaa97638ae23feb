"""Outputs hashed in full: DVC itself trusts a file whose time, size and number did not change, and every object in its
cache that is write-protected. A damaged object would be checked out, believed and pushed."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.params import read_yaml
from tasks.dvc.lock_file import LockEntry
from tasks.dvc.repository import open_repo
from tasks.dvc.store import DvcStore

if TYPE_CHECKING:
    from dvc.repo import Repo


def recorded_stage(repo: "Repo", name: str) -> dict[str, Any]:
    """What dvc.lock records of a stage; empty if nothing. DVC's lock is held, as another stage may write the file."""
    path = Path(repo.root_dir) / "dvc.lock"
    with repo.lock:
        stages = read_yaml(path).get("stages") if path.exists() else None
    recorded: dict[str, Any] = (stages or {}).get(name, {})
    return recorded


def recorded_outputs(repo: "Repo", name: str) -> list[LockEntry]:
    """The outputs of a stage that dvc.lock records with an MD5 of all bytes; DVC 2 left out the ends of lines."""
    return checkable_outputs(recorded_stage(repo, name))


def checkable_outputs(recorded: dict[str, Any]) -> list[LockEntry]:
    """The outputs with an MD5 of all bytes, of one stage in dvc.lock."""
    return [out for out in recorded.get("outs", []) if out.get("hash") == "md5" and "md5" in out]


def differing_outputs(name: str, root: Path) -> list[str]:
    """The paths of a stage's outputs whose content is not what dvc.lock records; each byte is read."""
    with open_repo(root) as repo:
        return outputs_that_differ(repo, recorded_outputs(repo, name))


def outputs_that_differ(repo: "Repo", outs: list[LockEntry]) -> list[str]:
    """The paths of the outputs whose content is not what dvc.lock records; each byte is read."""
    return [out["path"] for out in outs if full_md5(repo, Path(repo.root_dir) / out["path"]) != out["md5"]]


def full_md5(repo: "Repo", path: Path) -> str | None:
    """The MD5 that DVC gives to a file or folder, from its bytes and not from DVC's memory; None if it is not there."""
    from dvc.fs import localfs
    from dvc_data.hashfile.build import build
    from dvc_data.hashfile.db import HashFileDB

    forgetful = HashFileDB(localfs, repo.cache.local.path)  # has no state, so it knows no file
    try:
        _, _, built = build(forgetful, str(path), localfs, "md5", ignore=repo.dvcignore, dry_run=True)
    except FileNotFoundError:
        return None
    digest: str | None = built.hash_info.value
    return digest


def remove_outputs(root: Path, paths: list[str]) -> None:
    """Remove outputs that are not what dvc.lock records."""
    for path in map(root.joinpath, paths):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def remove_damaged_objects(dvc_store: DvcStore, out: LockEntry) -> list[str]:
    """Remove the objects of an output in the cache whose content is not what their name says; returns their MD5."""
    return [md5 for md5 in [*listed_objects(dvc_store, out), out["md5"]] if dvc_store.remove_if_damaged(md5)]


def listed_objects(dvc_store: DvcStore, out: LockEntry) -> list[str]:
    """The MD5 of the files of a folder, from its list in the cache; empty for a file, or if the list is not intact."""
    if dvc_store.intact(out["md5"]) is None:
        return []
    return [md5 for md5 in (dvc_store.files(out) or {}).values() if md5 != out["md5"]]


def mend_cache(root: Path, names: list[str]) -> list[str]:
    """Replace damaged objects of these stages and of what `dvc add` tracks by what stands here; returns their MD5.

    `dvc push` sends objects as they are, so they are hashed before it. What stands in the project must be intact.
    """
    mended: list[str] = []
    with open_repo(root) as repo, repo.lock:
        dvc_store = DvcStore(repo)
        for stage in repo.index.stages:
            if getattr(stage, "name", None) not in {None, "", *names}:
                continue
            outs = [{"path": out.def_path, "md5": out.hash_info.value} for out in stage.outs if out.hash_info]
            removed = [md5 for out in outs for md5 in remove_damaged_objects(dvc_store, out)]
            if removed:
                stage.commit()
            mended += removed
    return mended
