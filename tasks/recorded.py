"""Tables as a version's dvc.lock recorded them: from the working tree, the DVC cache or the remote, by their digest."""

from pathlib import Path

from pipeline.errors import UserError
from tasks.lock import Lock, outputs
from tasks.objects import digest


def md5_of(lock: Lock, path: str) -> str | None:
    """The MD5 that a dvc.lock names for an output; None when it names none."""
    return outputs(lock).get(path, {}).get("md5")


def find(root: Path, path: str, md5: str) -> Path:
    """A file with the content that was recorded, wherever it still is; UserError when it is nowhere."""
    here = root / path
    if here.exists() and digest(here) == md5:
        return here
    kept = cached(root, md5) or pulled(root, md5)
    if kept is None:
        raise UserError(
            f"{path}: expected the content with MD5 {md5} that the version was made with, found it neither in the "
            "working tree nor in the DVC cache nor in the remote; `dvc pull` on a machine that has it, then `dvc push`"
        )
    return kept


def cached(root: Path, md5: str) -> Path | None:
    """The file in the DVC cache; one that was changed there does not count."""
    from dvc.repo import Repo

    with Repo(str(root), _wait_for_lock=True) as repo:
        place = Path(repo.cache.local.oid_to_path(md5))
    return place if place.exists() and digest(place) == md5 else None


def pulled(root: Path, md5: str) -> Path | None:
    """The file, after fetching it into the DVC cache from the default remote; None when that fails."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc_data.hashfile.hash_info import HashInfo

    try:
        with Repo(str(root), _wait_for_lock=True) as repo:
            repo.cloud.pull([HashInfo("md5", md5)])
    except (DvcException, OSError):
        return None
    return cached(root, md5)
