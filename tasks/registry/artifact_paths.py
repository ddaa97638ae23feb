"""MLflow's database names the folder of every run and version; a project that was moved or restored lies elsewhere."""

import sqlite3
from contextlib import closing
from pathlib import Path

LOCK_TIMEOUT = 60.0  # seconds to wait for another writer
COLUMNS = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "model_versions": ("source", "storage_location"),
    "logged_models": ("artifact_location",),
}


def move_artifact_paths(database: Path, old: Path, new: Path) -> int:
    """Let the paths in a database that lead below ``old`` lead below ``new``; returns how many were changed.

    All are changed in one transaction. Nobody else may use the database meanwhile.
    """
    changed = 0
    forms = ((old.as_uri(), new.as_uri()), (f"file://{old}", new.as_uri()), (str(old), str(new)))
    with closing(sqlite3.connect(database, timeout=LOCK_TIMEOUT)) as connection, connection:
        for table, columns in COLUMNS.items():
            existing = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
            for column in existing.intersection(columns):
                for before, after in forms:
                    done = connection.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                        f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                        (after, len(before) + 1, before, len(before) + 1, f"{before}/"),
                    )
                    changed += done.rowcount
    return changed
