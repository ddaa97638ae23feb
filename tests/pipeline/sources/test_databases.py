"""Ingest reads databases and Hugging Face datasets as it reads files."""

import sqlite3
from pathlib import Path

import pandas as pd
import pytest

from pipeline.core.errors import UserError
from tests.support.ingesting import ingest, output, rejected

QUERY = "SELECT text, label FROM ticket WHERE part = '{}' ORDER BY id"
SQL = {"source": "sql", "train": [QUERY.format("train")], "test": [QUERY.format("test")]}
HUB = {"source": "huggingface", "url": "raw", "train": ["train"], "test": ["test"]}


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
def test_sql_mistakes_are_one_line_without_secrets(tickets: Path, changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        ingest(tickets, **({"url": "sqlite:///tickets.db"} | SQL | changes))
    assert "secret" not in str(error.value)
    assert not (tickets / "other.db").exists()


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with raw/train.parquet and raw/test.parquet, and a cache of datasets of its own."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    classes = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    for name, labels in (("train", [1, 0, -1]), ("test", [0, 1])):
        rows = {"text": [f"{name} text {i}" for i in range(len(labels))], "label": labels}
        (tmp_path / "raw").mkdir(exist_ok=True)
        datasets.Dataset.from_dict(rows, features=classes).to_parquet(tmp_path / "raw" / f"{name}.parquet")
    return tmp_path


def test_a_local_hugging_face_dataset_gives_class_names(dataset: Path) -> None:
    ingest(dataset, **HUB)
    assert output(dataset, "train")["label"].tolist() == ["yes", "no"]
    assert output(dataset, "unlabelled")["text"].tolist() == ["train text 2"]
    assert output(dataset, "test")["label"].tolist() == ["no", "yes"]


def test_a_local_hugging_face_folder_of_csv_works(dataset: Path) -> None:
    for name in ("train", "test"):
        (dataset / "raw" / f"{name}.parquet").unlink()
        pd.DataFrame({"text": [f"{name} a", f"{name} b"], "label": [3, 4]}).to_csv(dataset / "raw" / f"{name}.csv")
    ingest(dataset, **HUB)
    assert output(dataset, "train")["label"].tolist() == ["3", "4"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test": ["holdout"]}, 'ingest.test: expected the split "holdout" of raw, found ValueError'),
        ({"url": "nobody/nothing:config"}, "ingest.revision: expected the commit hash of nobody/nothing:config on the"),
        ({"url": "nobody/nothing:config", "revision": "abc"}, "expected the split .* of nobody/nothing:config, found"),
        ({"train": [], "test": [], "columns": {"split": "text"}}, "ingest.train: expected at least one query"),
    ],
)
def test_hugging_face_mistakes_are_one_line(
    dataset: Path, monkeypatch: pytest.MonkeyPatch, changes: dict, message: str
) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=message) as error:
        ingest(dataset, **(HUB | changes))
    assert "\n" not in str(error.value)
