"""What lies between two registered versions: params, code, data and metrics, out of what their runs recorded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.dvc.lock_file import Entry, Lock, code, outputs, sources
from tasks.dvc.store import Objects
from tasks.registry.lookup import RegisteredVersion
from tasks.registry.store import flatten

Pair = tuple[Any, Any]  # what it was and what it is; None: it was not there
TABLE = ".parquet"


@dataclass(frozen=True)
class Rows:
    """Rows of a table that differs: how many there were and are, and how many ids came and went.

    Each is None where the table is not in the DVC cache, or its rows have no id.
    """

    was: int | None
    now: int | None
    added: int | None
    removed: int | None


@dataclass(frozen=True)
class Difference:
    """Everything that differs, each by its key or path."""

    params: dict[str, Pair]
    code: dict[str, Pair]  # digests
    sources: dict[str, Pair]  # of raw data: files and bytes
    tables: dict[str, Rows]
    metrics: dict[str, Pair]


def difference(before: RegisteredVersion, after: RegisteredVersion, kept: Objects) -> Difference:
    """What changed from one version to another. UserError when a run did not record its params or its dvc.lock."""
    old, new = before.lock(), after.lock()
    return Difference(
        params=differing(flatten(before.params()), flatten(after.params())),
        code=differing(modules(old), modules(new)),
        sources={path: sizes(old, new, path) for path in differing(digests(sources(old)), digests(sources(new)))},
        tables=tables(old, new, kept),
        metrics=differing(before.metrics(), after.metrics()),
    )


def differing(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Pair]:
    """The keys whose values differ, in the order of the file."""
    keys = [*old, *(key for key in new if key not in old)]
    return {key: (old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)}


def modules(lock: Lock) -> dict[str, str]:
    """The MD5 of the code that the stages ran; params.yaml, which the report reads as a file, is told key by key."""
    return {path: md5 for path, md5 in digests(code(lock)).items() if path != "params.yaml"}


def digests(entries: dict[str, Entry]) -> dict[str, str]:
    """The MD5 of each."""
    return {path: entry["md5"] for path, entry in entries.items()}


def sizes(old: Lock, new: Lock, path: str) -> Pair:
    """Files and bytes of raw data, then and now."""
    found = [sources(lock).get(path) for lock in (old, new)]
    then, now = (one and {"files": one.get("nfiles", 1), "bytes": one["size"]} for one in found)
    return then, now


def tables(old: Lock, new: Lock, kept: Objects) -> dict[str, Rows]:
    """The tables that the stages made and that differ."""
    before, after = (
        {path: md5 for path, md5 in digests(outputs(lock)).items() if path.endswith(TABLE)} for lock in (old, new)
    )
    return {path: rows(was, now, kept) for path, (was, now) in differing(before, after).items()}


def rows(was: str | None, now: str | None, kept: Objects) -> Rows:
    """Compare two tables by the ids of their rows; no text is read."""
    old, new = (ids(kept.cached(md5)) if md5 else None for md5 in (was, now))
    both = old is not None and new is not None
    return Rows(
        was=None if old is None else len(old),
        now=None if new is None else len(new),
        added=len(new - old) if both and old is not None and new is not None else None,
        removed=len(old - new) if both and old is not None and new is not None else None,
    )


def ids(path: Path | None) -> set[str] | None:
    """The ids of a table's rows; None where it is not in the cache, or its rows have none."""
    from pyarrow import parquet

    if path is None or "id" not in parquet.read_schema(path).names:
        return None
    return set(parquet.read_table(path, columns=["id"])["id"].to_pylist())
