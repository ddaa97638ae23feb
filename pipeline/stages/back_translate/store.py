"""Finished translations, kept batch by batch outside the stage's outputs, so that a killed run goes on from there."""

import hashlib
import json
import sqlite3
from pathlib import Path


class Store:
    """The translations of one engine.

    A batch is kept and found as a whole: with Apertium and Marian alike, a text can come out slightly differently in
    other company (of 38 news texts alone and in a batch, Apertium gave 8 another wording), and a result rebuilt from
    an empty store must be equal to the one that was resumed.
    """

    def __init__(self, scratch: Path, identity: str) -> None:
        folder = scratch / hashlib.sha256(identity.encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        self.database = sqlite3.connect(folder / "translations.sqlite", timeout=60)
        self.database.execute("CREATE TABLE IF NOT EXISTS batch (key TEXT PRIMARY KEY, texts TEXT) WITHOUT ROWID")

    def get(self, batch: list[str]) -> list[str] | None:
        """The stored translations of exactly this batch."""
        row = self.database.execute("SELECT texts FROM batch WHERE key = ?", (key(batch),)).fetchone()
        return json.loads(row[0]) if row else None

    def put(self, batch: list[str], translations: list[str]) -> None:
        """Keep the translations of a batch; they are on disk when this returns."""
        with self.database:
            self.database.execute("INSERT INTO batch VALUES (?, ?)", (key(batch), json.dumps(translations)))

    def close(self) -> None:
        """Close the file."""
        self.database.close()


def key(batch: list[str]) -> str:
    """SHA-256 of the texts of a batch in their order."""
    return hashlib.sha256(json.dumps(batch).encode()).hexdigest()
