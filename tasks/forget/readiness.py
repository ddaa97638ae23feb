"""Makes a project ready for a forget: no stage is at work, and its arrivals are all there."""

from pathlib import Path

from pipeline.core.params import Params
from pipeline.labelling.operations_log import unfinished_arrivals
from pipeline.sources.arrival_files import require_tracked_files
from tasks.dvc.arrivals import restore_arrivals
from tasks.dvc.locks import busy_message, users_of_files
from tasks.dvc.repository import FilesInUse, open_repo


def prepare_project(root: Path, params: Params, dry_run: bool) -> None:
    """Bring back arrivals that only DVC has: the rows of others are in them. A dry run changes nothing.

    Raises FilesInUse while a command of DVC works on files, which may hold the rows in memory and write them again.
    Raises UserError for arrivals that cannot be brought back, and in a dry run for arrivals that would have to be.
    """
    if dry_run:
        require_tracked_files(root / params.ingest.arrivals)
        return
    if (root / ".dvc").is_dir():
        with open_repo(root) as repo:
            if users_of_files(repo):
                raise FilesInUse(busy_message(repo))
    restore_arrivals(root, params, unfinished_arrivals(root))
