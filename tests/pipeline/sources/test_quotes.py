"""Quotes that are part of the text never join rows in silence, and quoted cells with line breaks stay whole."""

from pathlib import Path

import pytest

from pipeline.sources.delimited import UNCLEAR_QUOTES, ParsedRow, read_table
from tests.support.ingesting import ingest, output, random_rows, rejected, write

TEST = "text,label\nis my parcel lost,x\nplease cancel the order,y\n"


def rows_of(text: str, delimiter: str | None = None) -> list[ParsedRow]:
    """The rows of a delimited text that are not blank."""
    table = read_table(text.splitlines(keepends=True), "in.csv", ["text", "label"], delimiter)
    return [row for row in table.rows if not row.is_blank]


def unquoted_file(delimiter: str, order: list[str], line_end: str, pairs: list[tuple[int, int]]) -> str:
    """A file without quoting: in each pair of rows, the first text begins with a quote and the second ends with it."""
    rows = [{"text": text, "label": label, "id": str(i)} for i, (text, label) in enumerate(random_rows(60))]
    for first, last in pairs:
        rows[first]["text"] = '"' + rows[first]["text"]
        rows[last]["text"] += '"'
    lines = [delimiter.join(order), *(delimiter.join(row[name] for name in order) for row in rows)]
    return line_end.join([*lines, ""])


@pytest.mark.parametrize("delimiter", ["\t", ",", ";", "|"])
@pytest.mark.parametrize("order", [["text", "label"], ["label", "text"], ["id", "text", "label"], ["id", "text"]])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("pairs", [[(5, 9)], [(3, 3), (10, 40), (50, 59)], [(58, 59)], [(0, 1)]])
def test_a_stray_quote_joins_no_rows(
    delimiter: str, order: list[str], line_end: str, pairs: list[tuple[int, int]]
) -> None:
    rows = rows_of(unquoted_file(delimiter, order, line_end, pairs))
    assert len(rows) == 60 and not any(row.fault for row in rows)
    texts = [row.cells[order.index("text")] for row in rows]
    expected = [text for text, _ in random_rows(60)]
    for first, last in pairs:
        if first != last:  # a text that is quoted as a whole loses its quotes, as in any CSV file
            expected[first], expected[last] = '"' + expected[first], expected[last] + '"'
    assert texts == expected


@pytest.mark.parametrize("place", ["first", "last"])
def test_a_single_stray_quote_is_part_of_its_text(place: str) -> None:
    content = unquoted_file(",", ["text", "label"], "\n", [])
    lines = content.splitlines(keepends=True)
    lines[-1 if place == "last" else 1] = '"open,x\n'
    rows = rows_of("".join(lines))
    assert len(rows) == 60
    assert rows[-1 if place == "last" else 0].cells == ['"open', "x"]


def test_quotes_inside_texts_stay() -> None:
    assert [row.cells for row in rows_of('text,label\nsay "hi" now,x\n"a" and "b",y\n"no, ""yes""",z\n')] == [
        ['say "hi" now', "x"],
        ['"a" and "b"', "y"],
        ['no, "yes"', "z"],
    ]


def test_a_stray_quote_in_the_header_stays_in_its_line() -> None:
    table = read_table('"text,label\na,x\nb",y\n'.splitlines(keepends=True), "in.csv", ["text", "label"], None)
    assert table.columns == ['"text', "label"]
    assert [row.cells for row in table.rows] == [["a", "x"], ['b"', "y"]]


def test_a_header_of_quoted_names_may_hold_line_breaks() -> None:
    table = read_table('"text","the\nnote"\na,b\n'.splitlines(keepends=True), "in.csv", ["text"], None)
    assert (table.columns, [row.cells for row in table.rows]) == (["text", "the\nnote"], [["a", "b"]])


@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
@pytest.mark.parametrize("order", [["text", "label"], ["label", "text"], ["id", "text", "label"], ["id", "text"]])
@pytest.mark.parametrize("quoted", [False, True])
def test_quoted_cells_with_line_breaks_stay_whole(delimiter: str, order: list[str], quoted: bool) -> None:
    texts = [text for text, _ in random_rows(40)]
    labels = [label for _, label in random_rows(40)]
    texts[7] = f"dear all{delimiter}\n\nthe parcel is lost{delimiter} I think\nplease{delimiter} help\nregards"
    texts[8] = 'one line\nand "another"'
    texts[30] = "the last\r\none"
    lines = [delimiter.join(order)]
    for i, (text, label) in enumerate(zip(texts, labels, strict=True)):
        needs_quotes = quoted or i in (7, 8, 30)
        cells = {"text": text, "label": label, "id": str(i)}
        if needs_quotes:
            cells = {name: '"' + cell.replace('"', '""') + '"' for name, cell in cells.items()}
        lines.append(delimiter.join(cells[name] for name in order))
    rows = rows_of("\n".join(lines) + "\n")
    assert [row.cells[order.index("text")] for row in rows] == texts
    assert not any(row.fault for row in rows)


def test_a_single_column_with_line_breaks_stays_whole() -> None:
    assert [row.cells for row in rows_of('text\n"hello\nthere"\nrefund\n')] == [["hello\nthere"], ["refund"]]


def test_a_single_column_without_other_quoted_cells_does_not_tell() -> None:
    texts = [text for text, _ in random_rows(30)]
    texts[5], texts[9] = '"' + texts[5], texts[9] + '"'
    rows = rows_of("text\n" + "\n".join(texts) + "\n", ",")
    assert [row.fault for row in rows] == [None] * 5 + [UNCLEAR_QUOTES] * 5 + [None] * 20
    texts[20] = '"quoted, as it has to be"'
    texts[5:10] = ['"two\nlines"']
    assert rows_of("text\n" + "\n".join(texts) + "\n", ",")[5].cells == ["two\nlines"]
    texts[20] = 'he said "no" to me'  # no writer of CSV leaves that unquoted
    assert [row.cells[0] for row in rows_of("text\n" + "\n".join(texts) + "\n", ",")][5:7] == ['"two', 'lines"']


def test_line_breaks_of_excel_are_within_cells() -> None:
    rows = "".join(f"{text},{label}\r\n" for text, label in random_rows(20))
    long = '"first,x\nsecond,y\nthird",x\r\n'
    assert rows_of(f"text,label\r\n{rows}{long}{rows}")[20].cells == ["first,x\nsecond,y\nthird", "x"]


def test_where_it_cannot_be_told_the_lines_are_set_aside() -> None:
    content = 'text,note\n"first,a\nsecond,b\nthird",c\n'  # two rows would be as good as one
    rows = rows_of(content)
    assert [row.fault for row in rows] == [UNCLEAR_QUOTES] * 3
    assert "".join(row.raw for row in rows) == content.removeprefix("text,note\n")


def test_quotes_escaped_by_backslashes_are_read() -> None:
    content = 'text,label\n"the \\"blue\\", lamp",x\n"size 12\\"",y\nplain,x\n"a \\\\ b",y\n"two\n\\"lines\\"",x\n'
    assert [row.cells[0] for row in rows_of(content)] == [
        'the "blue", lamp',
        'size 12"',
        "plain",
        "a \\ b",
        'two\n"lines"',
    ]


def test_a_backslash_before_a_closing_quote_is_no_escape_in_a_file_that_doubles_its_quotes() -> None:
    content = 'text,label\n"C:\\dir\\",x\n"the ""blue"", lamp",y\n"D:\\",x\n'
    assert [row.cells[0] for row in rows_of(content)] == ["C:\\dir\\", 'the "blue", lamp', "D:\\"]


def test_ingest_counts_lines_that_cannot_be_told(tmp_path: Path) -> None:
    rows = "".join(f"text number {i} of many,{i}{i % 2 * 'b'}\n" for i in range(3))
    write(tmp_path, train__csv="text,label\n" + rows + '"first,a\nsecond,a\nthird",b\n', test__csv=TEST)
    metrics = ingest(tmp_path)
    assert metrics["rejected"] == {UNCLEAR_QUOTES: 3}
    assert list(rejected(tmp_path)) == ["train.csv:5", "train.csv:6", "train.csv:7"]
    assert output(tmp_path, "rejected")["text"].tolist() == ['"first,a\n', "second,a\n", 'third",b\n']
