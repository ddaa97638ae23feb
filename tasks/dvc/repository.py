"""The project as DVC sees it, opened for a block; every way in which that fails ends as one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.disk_errors import explain_disk_error
from pipeline.core.errors import UserError
from tasks.dvc.locks import busy_message, clear_stale_entries, wait_for_project_lock

if TYPE_CHECKING:
    from dvc.repo import Repo


class FilesInUse(UserError):
    """Another command works on files that are needed; it is worth waiting for."""


@contextmanager
def open_repo(root: Path) -> Iterator["Repo"]:
    """DVC's view of the project in ``root``, for the block and for one thread.

    Raises FilesInUse if another command works on files that are needed, and UserError if DVC cannot read the project,
    or if a disk, a folder or a link fails.
    """
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo

    try:
        with Repo(str(root), _wait_for_lock=True) as repo:
            clear_stale_entries(repo)
            wait_for_project_lock(repo)
            try:
                yield repo
            except LockError:
                raise FilesInUse(busy_message(repo)) from None
    except DvcException as error:
        found = " ".join(str(error).split())
        raise UserError(f"{root}: expected a project that DVC can read, found: {found}; mend it there") from None
    except OSError as error:
        if (explanation := explain_disk_error(error)) is None:
            raise
        raise UserError(explanation) from None
