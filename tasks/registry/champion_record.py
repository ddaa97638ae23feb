"""Which version the promotion log names, for a service that looks every second: read without MLflow where possible.

An SQLite store is read as it is, and MLflow is asked for every other one.
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.policies.promotion.ledger import Ledger
from tasks.registry import project_store
from tasks.registry.stored_entry import StoredEntry, log_name, parse_log
from tasks.registry.version_bundle import DELETED, SQLITE, TABLES, StoredVersion, query_tags, stored_versions

CARD, GATE_TAG = "MODEL_CARD.md", "gleaner.gate"  # what a run recorded: an artifact and a tag


@dataclass(frozen=True)
class ChampionRecord:
    """The registered versions by number, and the promotion log."""

    versions: dict[str, StoredVersion]
    log: Ledger


@dataclass(frozen=True)
class RunRecord:
    """What the run that made a version recorded; None for what it did not."""

    gate: str | None = None  # the gate's status
    card: str | None = None  # the model card, Markdown


def read_champion_record(root: Path, model: str) -> ChampionRecord:
    """The versions and the log. Raises UserError if the store is lost or unreadable; an error of MLflow if it fails."""
    versions = stored_versions(root, model)
    database = sqlite_file(root)
    if database is None:
        from tasks.registry import promotion_log
        from tasks.registry.store import connect

        return ChampionRecord(versions, promotion_log.read(connect(root), model))
    if not versions:
        return ChampionRecord({}, parse_log([]))
    try:
        with closing(open_read_only(database)) as connection:
            return ChampionRecord(versions, parse_log(query_entries(connection, model)))
    except sqlite3.DatabaseError as error:
        raise project_store.database_error(database, error) from None


def read_run_record(root: Path, model: str, number: str) -> RunRecord:
    """What the run of a version recorded; nothing if that cannot be read, since the version answers without it."""
    database = sqlite_file(root)
    try:
        if database is None:
            return ask_run_record(root, model, number)
        with closing(open_read_only(database)) as connection:
            return query_run_record(connection, model, number)
    except Exception:  # noqa: BLE001  MLflow may raise anything, and this is a card
        return RunRecord()


def sqlite_file(root: Path) -> Path | None:
    """The store's SQLite database; None if the store is none."""
    uri = project_store.store_uri(root)
    return Path(uri.removeprefix(SQLITE).split("?")[0]) if uri.startswith(SQLITE) else None


def open_read_only(database: Path) -> sqlite3.Connection:
    """A connection that cannot write."""
    address = f"{database.resolve().as_uri()}?mode=ro"
    return sqlite3.connect(address, uri=True, timeout=project_store.LOCK_TIMEOUT)


def query_entries(connection: sqlite3.Connection, model: str) -> list[StoredEntry]:
    """The entries of the promotion log in MLflow's tables, in their order; none if there are no such tables."""
    if not TABLES.issubset(project_store.table_names(connection)):
        return []
    name = log_name(model)
    tags = query_tags(connection, name)
    made = (
        "SELECT version, creation_time FROM model_versions WHERE name = ? AND current_stage IS NOT ? ORDER BY version"
    )
    return [
        (int(version), int(created), tags.get(int(version), {}))
        for version, created in connection.execute(made, [name, DELETED])
    ]


def query_run_record(connection: sqlite3.Connection, model: str, number: str) -> RunRecord:
    """The gate's status and the model card of a version's run, by MLflow's tables and the folder of its artifacts."""
    row = connection.execute(
        "SELECT runs.run_uuid, runs.artifact_uri FROM model_versions JOIN runs "
        "ON runs.run_uuid = model_versions.run_id WHERE model_versions.name = ? AND model_versions.version = ?",
        [model, int(number)],
    ).fetchone()
    if row is None:
        return RunRecord()
    run, address = row
    gate = connection.execute("SELECT value FROM tags WHERE run_uuid = ? AND key = ?", [run, GATE_TAG]).fetchone()
    parts = urlsplit(address or "")
    card = Path(unquote(parts.path)) / CARD if parts.scheme in ("", "file") and parts.path else None
    text = card.read_text(encoding="utf-8") if card is not None and card.is_file() else None
    return RunRecord(gate[0] if gate else None, text)


def ask_run_record(root: Path, model: str, number: str) -> RunRecord:
    """The gate's status and the model card of a version's run, by MLflow."""
    from tasks.registry.lookup import get_version
    from tasks.registry.store import connect

    version = get_version(connect(root), model, number)
    gate = version.client.get_run(version.run).data.tags.get(GATE_TAG)
    has_card = version.has_artifact(CARD)
    return RunRecord(gate, version.read_artifact(CARD).decode("utf-8", "replace") if has_card else None)
