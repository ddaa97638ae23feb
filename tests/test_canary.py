"""No text of a row leaves the data: words that are in no other place are put into rows of every kind, and looked for.

Whatever `gleaner run` and what follows print, every file beside the data (logs, MLflow's database and artifacts,
registered versions) and Prefect's database are searched, unpacked where need be; a word that turns up is a leak.
"""

import gzip
import io
import os
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from real_project import change, command, git, make

pytestmark = pytest.mark.slow
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
WORDS = ("vireotrain", "vireoclash", "vireobroken", "vireopool", "vireolong", "vireotest")
HEADLESS = "vireohead"
DATA = ("data", ".dvc/cache", "dvc-storage", ".git")  # where rows belong
SHARED = ("data/report/shared.html", "data/report/MODEL_CARD.md")  # in there, but made to be passed around
CRASH = """
def run(params: Synonyms, paths: Paths) -> Metrics:
    return {"first": float(table.read(paths.data("ingest") / "train.parquet")["text"].str.cat(sep=" "))}


if __name__ == "__main__":"""


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


def holders(words: tuple[str, ...], files: Iterator[Path]) -> dict[str, set[str]]:
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


def add(root: Path, name: str, *lines: str) -> None:
    with (root / "data" / "demo" / name).open("a", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path, prefect_server: str) -> Path:
    """A copy of this project with these rows in its data, which git has not seen yet."""
    root = make(tmp_path_factory.mktemp("canary") / "gleaner", tiny_encoder, prefect_server)
    change(root, finetune={"method": "head"}, pseudo_label={"rounds": 2}, report={"examples": 200})
    git(root, "commit", "-q", "-am", "smaller")
    for name, lines in ROWS.items():
        add(root, name, *lines)
    return root


@pytest.fixture(scope="module")
def printed(project: Path) -> str:
    """Everything that the commands said: two versions registered, a crash, and a user's mistake."""
    said = []

    def run(expected: int, *words: str) -> str:
        done = command(project, *words)
        said.append(done.stdout + done.stderr)
        assert done.returncode == expected, said[-1]
        return said[-1]

    run(0, "gleaner", "run")
    change(project, report={"title": "The same model again"})
    assert "version 2" in run(0, "gleaner", "run")
    stage = project / "pipeline" / "synonyms.py"
    whole = stage.read_text()
    stage.write_text(whole.replace('if __name__ == "__main__":', CRASH.lstrip()))
    assert "ValueError: in" in run(1, "gleaner", "run")
    stage.write_text(whole)
    file = project / "data" / "demo" / "unlabelled.csv"
    _, rest = file.read_text(encoding="utf-8").split("\n", 1)
    file.write_text(f"{HEADLESS} would like to change the address of an order,private\n{rest}", encoding="utf-8")
    assert "a first row of 2 cells that are no names" in run(2, "gleaner", "run")
    return "\n".join(said)


def test_the_words_are_in_the_data(project: Path, printed: str) -> None:
    """Otherwise it would say nothing that they are nowhere else."""
    found = holders(WORDS, (path for path in (project / "data").rglob("*") if path.is_file()))
    names = {
        word: {Path(file).relative_to(project / "data").as_posix() for file in files} for word, files in found.items()
    }
    assert "ingest/train.parquet" in names["vireotrain"]
    assert "ingest/unlabelled.parquet" in names["vireopool"]
    assert {"ingest/test.parquet", "report/report.html"} <= names["vireotest"]
    assert all("ingest/rejected.parquet" in names[word] for word in ("vireoclash", "vireobroken", "vireolong"))
    assert "scratch/synonyms/crash.txt" in names["vireotrain"]


def test_no_word_is_printed(printed: str) -> None:
    assert [word for word in (*WORDS, HEADLESS) if word in printed.lower()] == []


def test_no_word_is_in_a_log_in_prefect_or_in_mlflow(project: Path, printed: str) -> None:
    files = list(beside_the_data(project))
    kinds = {path.name for path in files}
    assert {"prefect.db", "mlflow.db", "shared.html", "MODEL_CARD.md", "classifier.json", "dvc.lock"} <= kinds
    assert "report.html" not in kinds
    found = holders((*WORDS, HEADLESS), iter(files))
    assert {word: sorted(files) for word, files in found.items() if files} == {}


@pytest.mark.parametrize("packed", ["plain.txt", "table.parquet", "a.gz", "a.zip", "a.db"])
def test_a_word_is_found_however_it_is_packed(tmp_path: Path, packed: str) -> None:
    path, text = tmp_path / packed, "x" * 6000 + " vireotrain " + "y" * 6000
    if packed.endswith(".parquet"):
        pd.DataFrame({"text": [text] * 2}).to_parquet(path, compression="zstd")
    elif packed.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    elif packed.endswith(".zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("member", text)
    elif packed.endswith(".db"):
        with closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE log (message TEXT)")
            database.execute("INSERT INTO log VALUES (?)", (text,))
            database.commit()
    else:
        path.write_text(text)
    assert holders(("vireotrain", "vireopool"), iter([path])) == {"vireotrain": {path.as_posix()}, "vireopool": set()}
