"""The registered versions that learned from wanted rows, by the tables that their dvc.lock names."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.core.params import Params
from pipeline.labelling.forgetting import NOT_SEARCHED, Wanted, search_content
from tasks.dvc.lock_file import outputs
from tasks.dvc.store import DvcStore
from tasks.registry import lookup, promotion_log
from tasks.registry.registered_version import RegisteredVersion
from tasks.registry.store import connect

INGESTED = "data/ingest/"


@dataclass(frozen=True)
class Learned:
    """A version, and the tables of ingest that held wanted rows when it was trained; empty if they are gone."""

    version: RegisteredVersion
    tables: tuple[str, ...]
    is_champion: bool

    @property
    def line(self) -> str:
        """One line for people."""
        role = "champion" if self.is_champion else ", ".join(self.version.aliases)
        title = f"version {self.version.number}{f' ({role})' if role else ''}"
        return f"{title}: {', '.join(self.tables) or 'its tables are gone, so that nobody can tell'}"


def find_learned(root: Path, params: Params, store: DvcStore | None, wanted: Wanted, before: set[str]) -> list[Learned]:
    """The versions whose tables hold wanted rows, and those that a forget ``before``, which was killed, found."""
    versions = lookup.all_versions(root, params)
    champion = promotion_log.read(connect(root), params.registry.model).champion if versions else None
    answers: dict[str, bool | None] = {}
    learned = []
    for version in versions:
        tables = tuple(sorted(tables_with_rows(version, store, wanted, answers)))
        if tables or version.number in before:
            learned.append(Learned(version, tables, version.number == champion))
    return learned


def tables_with_rows(
    version: RegisteredVersion, store: DvcStore | None, wanted: Wanted, answers: dict[str, bool | None]
) -> set[str]:
    """The names of the version's ingested tables that hold wanted rows: train, validation, test, unlabelled."""
    lock = version.lock_or_none()
    tables = set()
    for path, out in (outputs(lock) if lock else {}).items():
        name = Path(path).stem
        if not path.startswith(INGESTED) or name == "rejected" or "md5" not in out:
            continue
        if out["md5"] not in answers:
            content = store.content(out["md5"]) if store else None
            found = search_content(content, wanted) if content else None
            answers[out["md5"]] = found is not None and found is not NOT_SEARCHED
        if answers[out["md5"]]:
            tables.add(name)
    return tables
