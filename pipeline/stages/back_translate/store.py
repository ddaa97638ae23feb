"""Finished translations, stored batch by batch outside the stage's outputs: a killed run goes on from there."""

import hashlib
import json
import sqlite3
from pathlib import Path


class TranslationStore:
    """The translations of one engine, in a SQLite file in ``scratch``.

    A batch is stored and found as a whole, because a translation depends on the batch: of 38 news texts, Apertium
    translated 8 differently in a batch than one by one, and Marian's results vary as well. A resumed run must give the
    same result as a run from an empty store.
    """

    def __init__(self, scratch: Path, identity: str) -> None:
        folder = scratch / hashlib.sha256(identity.encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        self.database = sqlite3.connect(folder / "translations.sqlite", timeout=60)
        self.database.execute("CREATE TABLE IF NOT EXISTS batch (key TEXT PRIMARY KEY, texts TEXT) WITHOUT ROWID")

    def get(self, batch: list[str]) -> list[str] | None:
        """The stored translations of exactly this batch; None if it is not stored."""
        row = self.database.execute("SELECT texts FROM batch WHERE key = ?", (batch_key(batch),)).fetchone()
        return json.loads(row[0]) if row else None

    def put(self, batch: list[str], translations: list[str]) -> None:
        """Store the translations of a batch; they are on disk when this returns."""
        with self.database:
            self.database.execute("INSERT INTO batch VALUES (?, ?)", (batch_key(batch), json.dumps(translations)))

    def close(self) -> None:
        """Close the SQLite file."""
        self.database.close()


def batch_key(batch: list[str]) -> str:
    """SHA-256 of the texts of a batch in their order, 64 hex digits."""
    return hashlib.sha256(json.dumps(batch).encode()).hexdigest()
