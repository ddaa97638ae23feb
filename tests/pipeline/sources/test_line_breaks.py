"""Files of programs that quote: each cell with line breaks stays one cell, whatever its lines look like."""

import io
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest

from pipeline.sources.delimited import read_table
from pipeline.sources.files import read_file
from pipeline.sources.text_stream import decoded_lines
from tests.support.ingesting import params

SHAPES: dict[str, Callable[[str], str]] = {
    "mail": lambda text: f"Hi,\n\n{text}\n\nThanks,\nBob",
    "greeting": lambda text: f"Hi,\n{text}",
    "two lines": lambda text: f"{text}\nsecond line",
    "paragraphs": lambda text: f"{text}\n\n{text}, really; yes\tno",
    "first line is a label": lambda text: f"billing\n{text}",
}


def messages(shape: Callable[[str], str], share: float, labelled: int) -> pd.DataFrame:
    """100 texts, a share of them with line breaks, the first with a label and the rest without one."""
    rng = random.Random(0)
    texts = [f"{rng.choice(['my parcel is late', 'charged twice', 'please refund me'])} number {i}" for i in range(100)]
    texts = [shape(text) if rng.random() < share else text for text in texts]
    labels = [rng.choice(["billing", "delivery"]) if i < labelled else "" for i in range(100)]
    return pd.DataFrame({"id": [str(i) for i in range(100)], "text": texts, "label": labels})


def read_cells(content: str, names: Sequence[str]) -> list[list[str]]:
    """The cells of each row that is not blank; a row with a fault is an empty list."""
    rows = read_table(content.splitlines(keepends=True), "x.csv", names, None).rows
    return [[] if row.fault else row.cells for row in rows if not row.is_blank]


@pytest.mark.parametrize("columns", [["text", "label"], ["label", "text"], ["id", "text"], ["text"]], ids=" ".join)
@pytest.mark.parametrize("labelled", [100, 16])
@pytest.mark.parametrize("share", [0.05, 0.25, 1.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_cells_with_line_breaks_stay_whole(shape: str, share: float, labelled: int, columns: list[str]) -> None:
    rows = messages(SHAPES[shape], share, labelled)[columns]
    for delimiter in (",", ";", "\t"):
        content = rows.to_csv(index=False, sep=delimiter)
        assert read_cells(content, columns) == rows.to_numpy().tolist(), delimiter


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("columns", [["text", "label"], ["label", "text"]], ids=" ".join)
def test_the_same_shapes_without_quoting_join_no_rows(columns: list[str], end: str) -> None:
    rows = messages(lambda text: text, 0, 100)[columns]
    rows.loc[10, "text"] = '"late again'
    rows.loc[40, "text"] = 'where is it"'
    lines = ["\t".join(columns), *("\t".join(row) for row in rows.to_numpy().tolist())]
    assert read_cells(end.join(lines) + end, columns) == rows.to_numpy().tolist()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("line_break", ["\r", "\u2028", "\x85", "\x0b", "\x0c", "\x1c"])
def test_the_line_end_of_the_file_decides(tmp_path: Path, line_break: str, end: str, encoding: str) -> None:
    texts = ["first", f"where{line_break}is it", "last"] if line_break != end else ["first", "where", "last"]
    data = end.join(["text,label", *(f"{text},a" for text in texts), ""]).encode(encoding)
    (tmp_path / "x.csv").write_bytes(data)
    records = read_file(tmp_path / "x.csv", "x.csv", "train", params()).records
    assert [(record.cells["text"], record.fault) for record in records] == [(text, None) for text in texts]
    assert len(list(decoded_lines(io.BytesIO(data), "x.csv"))) == 4
