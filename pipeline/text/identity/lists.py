"""The lists of data/identity_terms, read and checked; the README there says what a list may hold."""

import csv
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.text.identity.axis import Axis, Cell
from pipeline.text.identity.grammar import ROLES

NAMES, KEEP = "names", "keep"  # the kinds of lists that are no axis
Lines = list[tuple[str, list[str]]]  # "file:line" and the cells of that line
Table = tuple[list[str], Lines]  # the groups of the first line, and the lines below it


def load(folder: Path) -> dict[str, Axis]:
    """All axes of the lists in ``folder``, by name, sorted.

    Raises UserError, with file and line, if a list cannot be read, or if there is none.
    """
    lists = {path.stem: read_list(path) for path in sorted(folder.glob("*.*.csv")) if path.stem.count(".") == 1}
    if not lists:
        raise UserError(f"{folder}: expected lists such as gender.en.csv, found none; `git checkout {folder}`")
    ignored = {
        language_of(name): tuple(cells[0] for _, cells in lines)
        for name, (_, lines) in lists.items()
        if is_kind(name, KEEP)
    }
    tables = {name: table for name, table in lists.items() if not is_kind(name, KEEP) and not is_kind(name, NAMES)}
    for name, (head, lines) in lists.items():
        if is_kind(name, NAMES):
            add_names(tables, name, head, lines, folder)
    return {name: build_axis(name, *tables[name], ignored.get(language_of(name), ())) for name in sorted(tables)}


def is_kind(name: str, kind: str) -> bool:
    """Whether a list is of this kind, in any language."""
    return name.split(".")[0] == kind


def language_of(name: str) -> str:
    """The language of a list: ``en`` for ``gender.en``."""
    return name.split(".")[1]


def read_list(path: Path) -> Table:
    """The first line of a list, and the other lines that are not blank.

    Raises UserError if the file is empty or not UTF-8, or if a line has more or fewer cells than the first.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [(f"{path}:{n}", [cell.strip() for cell in row]) for n, row in enumerate(csv.reader(file), 1)]
    except UnicodeDecodeError:
        raise UserError(f"{path}: expected UTF-8, found other bytes; save it as UTF-8") from None
    filled = [(position, cells) for position, cells in lines if any(cells)]
    if not filled:
        raise UserError(f"{path}: expected a line with the groups' names, found an empty file; see the README there")
    head = filled[0][1]
    for position, cells in filled[1:]:
        if len(cells) != len(head):
            raise UserError(
                f"{position}: expected {len(head)} cells, as in the first line, found {len(cells)}; correct it"
            )
    return head, filled[1:]


def add_names(tables: dict[str, Table], name: str, head: list[str], lines: Lines, folder: Path) -> None:
    """Add a list of first names to ``tables``: as lines of the gender axis, and as an axis ``origin``.

    In the axis ``origin``, the k-th names of all origins are one line. Raises UserError if the list does not
    have three columns.
    """
    language = language_of(name)
    if len(head) != 3:
        raise UserError(
            f"{folder / name}.csv: expected the columns origin and two genders, found {len(head)}; correct it"
        )
    gender = f"gender.{language}"
    genders, gender_lines = tables.get(gender, (head[1:], []))
    tables[gender] = (genders, [*gender_lines, *((position, cells[1:]) for position, cells in lines)])
    origins = list(dict.fromkeys(cells[0] for _, cells in lines))
    by_origin = {origin: [(position, cells) for position, cells in lines if cells[0] == origin] for origin in origins}
    names_each = min(map(len, by_origin.values()))
    origin_lines = [
        (by_origin[origins[0]][k][0], [by_origin[origin][k][1][column] for origin in origins])
        for column in (1, 2)
        for k in range(names_each)
    ]
    tables[f"origin.{language}"] = (origins, origin_lines)


def build_axis(name: str, groups: list[str], lines: Lines, ignored: tuple[str, ...]) -> Axis:
    """An axis from the lines of its list. Raises UserError if there are fewer than two groups, or an unknown role."""
    if len(groups) < 2 or len(set(groups)) < len(groups):
        raise UserError(f"{name}.csv: expected two different groups or more in the first line, found {groups}")
    cells = []
    for row, (position, contents) in enumerate(lines):
        for group, content in zip(groups, contents, strict=True):
            text, _, role = content.removeprefix("~").partition("|")
            if role and role not in ROLES:
                raise UserError(f"{position}: expected one of {', '.join(ROLES)} after |, found {role}; correct it")
            if text:
                cells.append(Cell(text, role, not content.startswith("~"), row, group))
    return Axis(name, tuple(groups), tuple(cells), ignored)
