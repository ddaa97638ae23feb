"""Canary words, which occur in no other text, for rows of every kind, and a search for them in all that a run leaves.

Rows belong in the data, its cache and its storage only. A canary word anywhere else shows that a text has leaked.
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

ROWS = {  # file of data/demo: the lines that are added to it
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
FILE_OF_WORD = {  # word: a file below data/ that must hold it
    "vireotrain": "ingest/train.parquet",
    "vireopool": "ingest/unlabelled.parquet",
    "vireotest": "report/report.html",
    "vireoclash": "ingest/rejected.parquet",
    "vireobroken": "ingest/rejected.parquet",
    "vireolong": "ingest/rejected.parquet",
}
WORDS = tuple(FILE_OF_WORD)
HEADLESS = "vireohead"  # of the row that `without_header` adds
FOLDERS_OF_ROWS = ("data", ".dvc/cache", "dvc-storage", ".git", "tests")  # the tests hold the words, too
SHARED = ("data/report/shared.html", "data/report/MODEL_CARD.md")  # below data/, but made for other people
CRASH = """def run(params: Synonyms, paths: Paths) -> Metrics:
    return {"first": float(table.read(paths.data("ingest") / "train.parquet")["text"].str.cat(sep=" "))}


if __name__ == "__main__":"""


def add_rows(root: Path) -> None:
    """Add the rows to the project's data."""
    for name, lines in ROWS.items():
        with (root / "data" / "demo" / name).open("a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))


def without_header(content: str) -> str:
    """The content of a file of two columns, with a row in place of its header."""
    return f"{HEADLESS} would like to change the address of an order,private\n" + content.split("\n", 1)[1]


def unpacked_contents(path: Path) -> Iterator[bytes]:
    """The content of a file: its bytes, then the cells of a table or database, or the members of an archive."""
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


def find_words(words: Iterable[str], files: Iterable[Path]) -> dict[str, set[str]]:
    """The files that hold each word: word -> paths."""
    files_by_word: dict[str, set[str]] = {word: set() for word in words}
    for path in files:
        for content in unpacked_contents(path):
            for word in words:
                if word.encode() in content.lower():
                    files_by_word[word].add(path.as_posix())
    return files_by_word


def files_outside_data(root: Path) -> Iterator[Path]:
    """Every file that must hold no row: of the project, the shared ones too, and of Prefect's home."""
    folders = [root / name for name in FOLDERS_OF_ROWS]
    for path in [*root.rglob("*"), *Path(os.environ["PREFECT_HOME"]).rglob("*")]:
        if path.is_file() and not any(folder in path.parents for folder in folders):
            yield path
    yield from (root / name for name in SHARED)


@contextmanager
def restored_afterwards(path: Path) -> Iterator[Path]:
    """Let the block change a file, and restore the file afterwards."""
    before = path.read_bytes()
    try:
        yield path
    finally:
        path.write_bytes(before)
