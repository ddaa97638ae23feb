"""The differences between two registered versions in params, code, data and metrics, from what their runs recorded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.dvc.lock_file import Lock, LockEntry, code_files, outputs, raw_data
from tasks.dvc.store import DvcStore
from tasks.registry.registered_version import RegisteredVersion
from tasks.registry.store import flatten

BeforeAfter = tuple[Any, Any]  # None: the version does not have it
TABLE_SUFFIX = ".parquet"


@dataclass(frozen=True)
class RowChanges:
    """A table that differs: its number of rows before and after, and how many row ids were added and removed.

    Each is None if the table is not in the DVC cache, or if its rows have no id.
    """

    was: int | None
    now: int | None
    added: int | None
    removed: int | None


@dataclass(frozen=True)
class VersionDifference:
    """Everything that differs, by key or path."""

    params: dict[str, BeforeAfter]
    code: dict[str, BeforeAfter]  # digests
    sources: dict[str, BeforeAfter]  # raw data: files and bytes
    tables: dict[str, RowChanges]
    metrics: dict[str, BeforeAfter]


def diff_versions(before: RegisteredVersion, after: RegisteredVersion, dvc_store: DvcStore) -> VersionDifference:
    """What changed between two versions. Raises UserError if a run did not record its params or its dvc.lock."""
    old, new = before.lock(), after.lock()
    changed_data = changed_values(md5_by_path(raw_data(old)), md5_by_path(raw_data(new)))
    return VersionDifference(
        params=changed_values(flatten(before.params()), flatten(after.params())),
        code=changed_values(code_digests(old), code_digests(new)),
        sources={path: raw_data_sizes(old, new, path) for path in changed_data},
        tables=changed_tables(old, new, dvc_store),
        metrics=changed_values(before.metrics(), after.metrics()),
    )


def changed_values(old: dict[str, Any], new: dict[str, Any]) -> dict[str, BeforeAfter]:
    """The keys whose values differ, with both values, in the order of the file."""
    keys = [*old, *(key for key in new if key not in old)]
    return {key: (old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)}


def code_digests(lock: Lock) -> dict[str, str]:
    """The MD5 of the code that the stages ran. params.yaml is left out, because it is compared key by key."""
    return {path: md5 for path, md5 in md5_by_path(code_files(lock)).items() if path != "params.yaml"}


def md5_by_path(entries: dict[str, LockEntry]) -> dict[str, str]:
    """The MD5 of each entry."""
    return {path: entry["md5"] for path, entry in entries.items()}


def raw_data_sizes(old: Lock, new: Lock, path: str) -> BeforeAfter:
    """The numbers of files and bytes of raw data, before and after."""
    entries = [raw_data(lock).get(path) for lock in (old, new)]
    before, after = (entry and {"files": entry.get("nfiles", 1), "bytes": entry["size"]} for entry in entries)
    return before, after


def changed_tables(old: Lock, new: Lock, dvc_store: DvcStore) -> dict[str, RowChanges]:
    """The stage outputs that are tables and differ, by path."""
    before, after = (
        {path: md5 for path, md5 in md5_by_path(outputs(lock)).items() if path.endswith(TABLE_SUFFIX)}
        for lock in (old, new)
    )
    return {path: compare_rows(was, now, dvc_store) for path, (was, now) in changed_values(before, after).items()}


def compare_rows(was: str | None, now: str | None, dvc_store: DvcStore) -> RowChanges:
    """Compare two tables, given by MD5, by the ids of their rows. No text is read."""
    old, new = (row_ids(dvc_store.intact(md5)) if md5 else None for md5 in (was, now))
    return RowChanges(
        was=None if old is None else len(old),
        now=None if new is None else len(new),
        added=None if old is None or new is None else len(new - old),
        removed=None if old is None or new is None else len(old - new),
    )


def row_ids(path: Path | None) -> set[str] | None:
    """The ids of a table's rows; None if the table is not in the cache (``path`` is None) or has no ids."""
    from pyarrow import parquet

    if path is None or "id" not in parquet.read_schema(path).names:
        return None
    return set(parquet.read_table(path, columns=["id"])["id"].to_pylist())
