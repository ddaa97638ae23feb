"""The registered versions that learned from wanted rows, by the tables that their dvc.lock names."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.core.params import Params
from pipeline.labelling.forgetting import NOT_SEARCHED, Wanted, search_content
from tasks.dvc.lock_file import outputs
from tasks.dvc.store import DvcStore
from tasks.registry import lookup, promotion_log
from tasks.registry.registered_version import RegisteredVersion
from tasks.registry.retirement import is_retired
from tasks.registry.store import connect

INGESTED = "data/ingest/"


@dataclass(frozen=True)
class Learned:
    """A version that learned from wanted rows, or may have: some of its tables of ingest are gone."""

    version: RegisteredVersion
    tables: tuple[str, ...]  # that held wanted rows when it was trained
    is_champion: bool
    is_known: bool = True  # False where nobody can tell whether it learned from them
    is_masked: bool = False  # only the masked form of a given text names the rows in its tables

    @property
    def reason(self) -> str:
        """Why it is retired today."""
        today = f"{datetime.now(UTC):%Y-%m-%d}"
        if self.is_known:
            return f"it learned from rows that were forgotten on {today}"
        return f"it may have learned from rows that were forgotten on {today}: its tables are gone"

    @property
    def is_retired(self) -> bool:
        """Whether it was retired before."""
        return is_retired(self.version)

    @property
    def line(self) -> str:
        """One line for people."""
        role = "champion" if self.is_champion else "retired" if self.is_retired else ", ".join(self.version.aliases)
        title = f"version {self.version.number}{f' ({role})' if role else ''}"
        note = ", found by the masked form of a text: they may be another person's rows" if self.is_masked else ""
        return f"{title}: {', '.join(self.tables) or 'its tables are gone, so that nobody can tell'}{note}"


def find_learned(root: Path, params: Params, store: DvcStore | None, wanted: Wanted, before: set[str]) -> list[Learned]:
    """The versions whose tables hold wanted rows, or are gone, and those that a forget ``before`` found.

    A forget removes whole tables, so that those of later ones are gone: what was in them nobody can tell.
    """
    versions = lookup.all_versions(root, params)
    champion = promotion_log.read(connect(root), params.registry.model).champion if versions else None
    answers: dict[str, bool | None] = {}
    sure, sure_answers = wanted.without_masked(), dict[str, bool | None]()
    learned = []
    for version in versions:
        held = tables_with_rows(version, store, wanted, answers)
        tables = tuple(sorted(name for name, holds in held.items() if holds))
        is_known = bool(tables) or version.number in before
        if is_known or None in held.values() or not held:
            exact = tables_with_rows(version, store, sure, sure_answers) if sure and tables else held
            is_masked = bool(tables) and not any(exact.values())
            learned.append(Learned(version, tables, version.number == champion, is_known, is_masked))
    return learned


def tables_with_rows(
    version: RegisteredVersion, store: DvcStore | None, wanted: Wanted, answers: dict[str, bool | None]
) -> dict[str, bool | None]:
    """Whether the version's ingested tables (train, validation, test, unlabelled) hold wanted rows, by name.

    None for a table that is gone or cannot be read; no table at all for a version whose dvc.lock is gone.
    """
    lock = version.lock_or_none()
    tables: dict[str, bool | None] = {}
    for path, out in (outputs(lock) if lock else {}).items():
        name = Path(path).stem
        if not path.startswith(INGESTED) or not path.endswith(".parquet") or name == "rejected":
            continue
        md5 = out.get("md5", "")
        if md5 not in answers:
            content = store.content(md5) if store and md5 else None
            found = NOT_SEARCHED if content is None else search_content(content, wanted)
            answers[md5] = None if found is NOT_SEARCHED else found is not None
        tables[name] = answers[md5]
    return tables
