"""Which bundle is a version of a registered model: found by number or alias, for whoever asks it for answers.

`gleaner predict` answers in a second, and importing MLflow takes several. So an SQLite store is read as it is, and a
bundle that lies in a folder is used there. MLflow is asked for everything else; what it downloads is kept in
data/scratch/bundles/ under the digest of the bundle's manifest. Nothing here creates a store.
"""

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit

from pipeline.core.errors import UserError
from pipeline.core.stage import Paths
from pipeline.models.bundle_files import MANIFEST
from tasks.registry import project_store
from tasks.registry.manifest import MANIFEST_DIGEST_TAG, check_bundle
from tasks.registry.version_choice import CHAMPION, choose_version

SQLITE = "sqlite:///"
DELETED = "Deleted_Internal"  # what MLflow's table says of a version that was deleted
TABLES = {"model_versions", "registered_model_aliases", "model_version_tags"}
IN_VERSION = Path("artifacts", "bundle")  # where a version's artifacts have the bundle


@dataclass(frozen=True)
class StoredVersion:
    """A version as the store describes it."""

    aliases: tuple[str, ...]
    tags: Mapping[str, str]
    location: str | None  # of its artifacts; None if only MLflow can tell

    @property
    def manifest(self) -> str | None:
        """SHA-256 of its bundle's manifest; None if it was registered without."""
        return self.tags.get(MANIFEST_DIGEST_TAG)


@dataclass(frozen=True)
class VersionBundle:
    """The bundle of a registered version, every byte of it checked."""

    model: str
    number: str
    aliases: tuple[str, ...]
    folder: Path

    @property
    def title(self) -> str:
        """The version's name for people, with its roles: gleaner-demo version 3 (champion)."""
        roles = f" ({', '.join(self.aliases)})" if self.aliases else ""
        return f"{self.model} version {self.number}{roles}"


def find_bundle(root: Path, model: str, wanted: str = CHAMPION) -> VersionBundle | None:
    """The bundle of the version with this number or alias in the store of the project ``root``; None if none exists.

    The store is mlflow.db in the project, or what MLFLOW_TRACKING_URI names. Raises UserError if there are other
    versions only, if the store was lost or cannot be read, or if the bundle is gone or was changed; an error of MLflow
    if a server does not answer.
    """
    stored = stored_versions(root, model)
    if not stored:
        return None
    number = choose_version(model, {number: version.aliases for number, version in stored.items()}, wanted)
    folder = bundle_folder(root, model, number, stored[number])
    return VersionBundle(model, number, stored[number].aliases, folder)


def stored_versions(root: Path, model: str) -> dict[str, StoredVersion]:
    """The versions of a registered model by their number, the oldest first; empty if there is no such model.

    Raises UserError if the store was lost or cannot be read.
    """
    uri = project_store.store_uri(root)
    if uri.startswith(SQLITE):
        return read_database(root, Path(uri.removeprefix(SQLITE).split("?")[0]), model)
    from tasks.registry.lookup import list_versions
    from tasks.registry.store import connect

    return {
        version.number: StoredVersion(version.aliases, version.tags, None)
        for version in list_versions(connect(root), model)
    }


def read_database(root: Path, database: Path, model: str) -> dict[str, StoredVersion]:
    """The versions of a registered model in MLflow's SQLite database, which is only read.

    Raises UserError if it was lost or cannot be read. A project's own database may not exist yet.
    """
    in_project = project_store.is_in_project(root)
    if not database.exists():
        if in_project:
            project_store.require_not_lost(root)
            return {}
        raise UserError(f"MLFLOW_TRACKING_URI: expected MLflow's database, found no file {database}; correct the path")
    try:
        address = f"{database.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=project_store.LOCK_TIMEOUT)) as connection:
            stored = query_versions(connection, model)
    except sqlite3.DatabaseError as error:
        raise project_store.database_error(database, error) from None
    if in_project and not stored:
        project_store.require_not_lost(root)
    return stored


def query_versions(connection: sqlite3.Connection, model: str) -> dict[str, StoredVersion]:
    """The versions of a registered model in MLflow's tables, by their number; empty if there are no such tables."""
    if not TABLES.issubset(project_store.table_names(connection)):
        return {}
    aliases: dict[str, list[str]] = {}
    named = "SELECT version, alias FROM registered_model_aliases WHERE name = ? ORDER BY alias"
    for version, alias in connection.execute(named, [model]):
        aliases.setdefault(str(version), []).append(alias)
    tags = query_tags(connection, model)
    made = (
        "SELECT version, coalesce(storage_location, source) FROM model_versions "
        "WHERE name = ? AND current_stage IS NOT ? ORDER BY version"
    )
    return {
        str(version): StoredVersion(tuple(aliases.get(str(version), ())), tags.get(int(version), {}), location)
        for version, location in connection.execute(made, [model, DELETED])
    }


def query_tags(connection: sqlite3.Connection, name: str) -> dict[int, dict[str, str]]:
    """The tags of all versions of a registered model in MLflow's tables, by the versions' numbers."""
    tags: dict[int, dict[str, str]] = {}
    for version, key, value in connection.execute(
        "SELECT version, key, value FROM model_version_tags WHERE name = ?", [name]
    ):
        tags.setdefault(int(version), {})[key] = value
    return tags


def bundle_folder(root: Path, model: str, number: str, version: StoredVersion) -> Path:
    """The folder with a version's bundle, checked: where the store has it, or a copy, made if there is no whole one.

    Raises UserError if the store does not have it, or if it was changed.
    """
    title = f"{model} version {number}"
    in_place = local_folder(version.location)
    if in_place is not None and (in_place / MANIFEST).is_file():
        check_bundle(in_place, version.manifest, title)
        return in_place
    copy = Paths(root).scratch("bundles") / (version.manifest or f"version-{number}")
    if version.manifest is not None and (copy / MANIFEST).is_file():
        with suppress(UserError):  # a damaged copy is made anew
            check_bundle(copy, version.manifest, title)
            return copy
    return download(root, model, number, copy)


def local_folder(location: str | None) -> Path | None:
    """Where the bundle is below ``location``, the address of a version's artifacts; None if that is no local folder."""
    address = urlsplit(location or "")
    if address.scheme not in ("", "file") or not address.path:
        return None
    return Path(unquote(address.path) if address.scheme else address.path) / IN_VERSION


def download(root: Path, model: str, number: str, copy: Path) -> Path:
    """Let MLflow download a version's bundle, check it, and put it at ``copy``, over what is there."""
    from tasks.registry.bundles import fetch_bundle
    from tasks.registry.lookup import get_version
    from tasks.registry.store import connect

    version = get_version(connect(root), model, number)
    copy.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=copy.parent) as folder:
        bundle = fetch_bundle(version, Path(folder))
        if copy.exists():
            os.replace(copy, Path(folder) / "replaced")
        os.replace(bundle, copy)
    return copy
