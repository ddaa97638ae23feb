"""Databases: rows are read by query, and an error is one line that holds no password."""

import sqlite3
from pathlib import Path

import pytest

from pipeline.core.errors import UserError
from tests.support.ingesting import ingest, output, rejected

QUERY = "SELECT text, label FROM ticket WHERE part = '{}' ORDER BY id"
SQL = {"source": "sql", "train": [QUERY.format("train")], "test": [QUERY.format("test")]}


@pytest.fixture
def tickets(tmp_path: Path) -> Path:
    """A folder with tickets.db: four training rows, one not UTF-8 and one without a label; one test row."""
    rows = [
        ("train", "where is it", 1),
        ("train", "cancel it", 2),
        ("train", "no label here", None),
        ("test", "is it lost", 1),
    ]
    with sqlite3.connect(tmp_path / "tickets.db") as database:
        database.execute("CREATE TABLE ticket (id INTEGER PRIMARY KEY, part TEXT, text TEXT, label INTEGER)")
        database.executemany("INSERT INTO ticket (part, text, label) VALUES (?, ?, ?)", rows)
        database.execute("INSERT INTO ticket (part, text, label) VALUES ('train', CAST(x'62ff' AS TEXT), 1)")
    database.close()
    return tmp_path


def test_sql_rows_become_tables(tickets: Path) -> None:
    metrics = ingest(tickets, url="sqlite:///tickets.db", **SQL)
    assert output(tickets, "train")["label"].tolist() == ["1", "2"]
    assert output(tickets, "unlabelled")["text"].tolist() == ["no label here"]
    assert rejected(tickets) == {"ingest.train[0]:4": "not valid UTF-8"}
    assert metrics["rows"]["test"] == 1


def test_sql_url_takes_variables_from_the_environment(tickets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKETS", "tickets")
    assert ingest(tickets, url="sqlite:///${TICKETS}.db", **SQL)["rows"]["train"] == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"url": "sqlite:///${NO_SUCH_THING}.db"}, "expected the environment variable NO_SUCH_THING, found none"),
        ({"url": "sqlite:///other.db"}, "ingest.url: expected a SQLite file, found no other.db"),
        ({"url": "secret, no url"}, "ingest.url: expected a SQLAlchemy URL"),
        ({"url": "nosuchbase://u:secret@h/d"}, "ingest.url: expected an installed database driver"),
        ({"test": ["SELECT * FROM nosuch"]}, r"ingest.test\[0\]: expected a query that runs, found no such table"),
        ({"test": ["SELECT text FROM ticket"]}, r"ingest.test\[0\]: expected the columns.*missing label, found text"),
    ],
)
def test_sql_errors_are_one_line_without_secrets(tickets: Path, changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        ingest(tickets, **({"url": "sqlite:///tickets.db"} | SQL | changes))
    assert "secret" not in str(error.value)
    assert not (tickets / "other.db").exists()
