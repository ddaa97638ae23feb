"""Whether the newest training of a project came to its end, found without MLflow where the store is an SQLite file."""

import sqlite3
from contextlib import closing
from pathlib import Path

from pipeline.core.params import Params
from tasks.registry import project_store
from tasks.registry.champion_record import open_read_only, sqlite_file
from tasks.registry.version_tags import COMPLETE, NO

NEWEST = """
SELECT tags.value FROM runs
JOIN experiments ON experiments.experiment_id = runs.experiment_id
JOIN tags ON tags.run_uuid = runs.run_uuid
WHERE experiments.name = ? AND tags.key = ? AND runs.lifecycle_stage = 'active'
ORDER BY runs.start_time DESC LIMIT 1
"""


def is_newest_complete(root: Path, params: Params) -> bool:
    """Whether the newest training is complete (see trainings.py), as it is where there is none.

    What a cut-off training has read is read again by the next night, even where its version is registered. Raises
    UserError if the store is lost or unreadable; an error of MLflow if it fails.
    """
    database = sqlite_file(root)
    if database is None:
        from tasks.registry.runs import search_runs
        from tasks.registry.store import connect

        tags = (run.data.tags for run in search_runs(connect(root), root, params))
        return next((found[COMPLETE] for found in tags if COMPLETE in found), None) != NO
    try:
        with closing(open_read_only(database)) as connection:
            newest = connection.execute(NEWEST, [params.registry.experiment, COMPLETE]).fetchone()
    except sqlite3.DatabaseError as error:
        raise project_store.database_error(database, error) from None
    return newest is None or newest[0] != NO
