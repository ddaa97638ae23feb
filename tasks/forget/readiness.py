"""Makes a project ready for a forget: its arrivals are all there."""

from pathlib import Path

from pipeline.core.params import Params
from pipeline.labelling.operations_log import unfinished_arrivals
from pipeline.sources.arrival_files import require_tracked_files
from tasks.dvc.arrivals import restore_arrivals


def prepare_project(root: Path, params: Params, dry_run: bool) -> None:
    """Bring back arrivals that only DVC has: the rows of others are in them. A dry run changes nothing.

    Raises UserError for arrivals that cannot be brought back, and in a dry run for arrivals that would have to be.
    """
    if dry_run:
        require_tracked_files(root / params.ingest.arrivals)
    else:
        restore_arrivals(root, params, unfinished_arrivals(root))
