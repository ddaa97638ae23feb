"""Words that are in no other place, put into rows of every kind, and a search for them in whatever a run leaves.

A word that turns up beside the data is a text that got away: rows belong in the data, its cache and its storage alone.
"""

import gzip
import io
import os
import sqlite3
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pandas as pd

ROWS = {  # where: the line put into a file of data/demo; each has a word of its own
    "train.csv": (
        '"vireotrain says that the kettle it was sent is broken",faulty_item,private',
        '"vireoclash wants to know what these boxes are for",billing_problem,private',
        '"vireoclash wants to know what these boxes are for",delivery_delay,private',
        "vireobroken, has, more, cells, than, columns",
    ),
    "unlabelled.csv": (
        '"vireopool cannot log in and has tried everything twice",business',
        '"' + "vireolong " * 2500 + '",business',
    ),
    "test.csv": ('"vireotest asks where the parcel is, which was due on Monday",delivery_delay,business',),
}
FOUND = {  # word: a file below data/ that has it
    "vireotrain": "ingest/train.parquet",
    "vireopool": "ingest/unlabelled.parquet",
    "vireotest": "report/report.html",
    "vireoclash": "ingest/rejected.parquet",
    "vireobroken": "ingest/rejected.parquet",
    "vireolong": "ingest/rejected.parquet",
}
WORDS = tuple(FOUND)
HEADLESS = "vireohead"  # of a row that is added later
DATA = ("data", ".dvc/cache", "dvc-storage", ".git", "tests")  # where rows belong; the words are in these tests, too
SHARED = ("data/report/shared.html", "data/report/MODEL_CARD.md")  # in there, but made to be passed around
CRASH = """def run(params: Synonyms, paths: Paths) -> Metrics:
    return {"first": float(table.read(paths.data("ingest") / "train.parquet")["text"].str.cat(sep=" "))}


if __name__ == "__main__":"""


def plant(root: Path) -> None:
    """Put the rows into the project's data."""
    for name, lines in ROWS.items():
        with (root / "data" / "demo" / name).open("a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))


def headless(content: str) -> str:
    """A file of two columns without its header."""
    return f"{HEADLESS} would like to change the address of an order,private\n" + content.split("\n", 1)[1]


def contents(path: Path) -> Iterator[bytes]:
    """What a file holds, unpacked: bytes as they are, cells of tables and databases, members of archives."""
    data = path.read_bytes()
    yield data
    if data.startswith(b"SQLite format 3"):
        with closing(sqlite3.connect(path)) as database:
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                for row in database.execute(f'SELECT * FROM "{name}"'):
                    yield repr(row).encode()
    elif data.startswith(b"PAR1"):
        yield pd.read_parquet(path).to_csv().encode()
    elif data.startswith(b"\x1f\x8b"):
        yield gzip.decompress(data)
    elif zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(path) as archive:
            yield from (archive.read(member) for member in archive.namelist())


def holders(words: Iterable[str], files: Iterable[Path]) -> dict[str, set[str]]:
    """The files, by name, in which each word was found."""
    found: dict[str, set[str]] = {word: set() for word in words}
    for path in files:
        for content in contents(path):
            for word in words:
                if word.encode() in content.lower():
                    found[word].add(path.as_posix())
    return found


def beside_the_data(root: Path) -> Iterator[Path]:
    """Every file of the project that is no place for rows, and Prefect's home."""
    places = [root / place for place in DATA]
    for path in [*root.rglob("*"), *Path(os.environ["PREFECT_HOME"]).rglob("*")]:
        if path.is_file() and not any(place in path.parents for place in places):
            yield path
    yield from (root / name for name in SHARED)


@contextmanager
def changed(path: Path) -> Iterator[Path]:
    """A file that the block changes, and that is as before after it."""
    before = path.read_bytes()
    try:
        yield path
    finally:
        path.write_bytes(before)
