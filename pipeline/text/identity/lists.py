"""The lists of data/identity_terms, read and checked: see the README there for what a user may write."""

import csv
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.text.identity.axis import ROLES, Axis, Cell

NAMES, KEEP = "names", "keep"


def load(folder: Path) -> dict[str, Axis]:
    """All axes of the lists in ``folder``, by name, sorted.

    Raises UserError that names file and line for a list that cannot be read.
    """
    tables = {path.stem: read(path) for path in sorted(folder.glob("*.*.csv")) if path.stem.count(".") == 1}
    if not tables:
        raise UserError(f"{folder}: expected lists such as gender.en.csv, found none; `git checkout {folder}`")
    kept = {
        name.split(".")[1]: tuple(row[0] for _, row in rows) for name, (_, rows) in tables.items() if named(name, KEEP)
    }
    content: dict[str, tuple[list[str], list[tuple[str, list[str]]]]] = {
        name: table for name, table in tables.items() if not named(name, KEEP) and not named(name, NAMES)
    }
    for name in (name for name in tables if named(name, NAMES)):
        add_names(content, name, *tables[name], folder)
    return {name: axis(name, *content[name], kept.get(name.split(".")[1], ())) for name in sorted(content)}


def named(name: str, kind: str) -> bool:
    """Whether a list is of this kind, in whatever language."""
    return name.split(".")[0] == kind


Lines = list[tuple[str, list[str]]]  # "file:line" and its cells


def read(path: Path) -> tuple[list[str], Lines]:
    """Head and lines of a list; lines without content are left out."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [(f"{path}:{n}", [cell.strip() for cell in row]) for n, row in enumerate(csv.reader(file), 1)]
    except UnicodeDecodeError:
        raise UserError(f"{path}: expected UTF-8, found other bytes; save it as UTF-8") from None
    filled = [(place, row) for place, row in lines if any(row)]
    if not filled:
        raise UserError(f"{path}: expected a line with the groups' names, found an empty file; see the README there")
    head = filled[0][1]
    for place, row in filled[1:]:
        if len(row) != len(head):
            raise UserError(f"{place}: expected {len(head)} cells, as in the first line, found {len(row)}; correct it")
    return head, filled[1:]


def add_names(content: dict[str, tuple[list[str], Lines]], name: str, head: list[str], lines: Lines, at: Path) -> None:
    """Names as lines of the gender axis, and of an axis ``origin`` where the k-th names of all origins are one line."""
    language = name.split(".")[1]
    if len(head) != 3:
        raise UserError(f"{at / name}.csv: expected the columns origin and two genders, found {len(head)}; correct it")
    gender = f"gender.{language}"
    genders, known = content.get(gender, (head[1:], []))
    content[gender] = (genders, [*known, *((place, row[1:]) for place, row in lines)])
    origins = list(dict.fromkeys(row[0] for _, row in lines))
    by_origin = {origin: [(place, row) for place, row in lines if row[0] == origin] for origin in origins}
    least = min(map(len, by_origin.values()))
    own = [
        (by_origin[origins[0]][k][0], [by_origin[origin][k][1][column] for origin in origins])
        for column in (1, 2)
        for k in range(least)
    ]
    content[f"origin.{language}"] = (origins, own)


def axis(name: str, groups: list[str], lines: Lines, kept: tuple[str, ...]) -> Axis:
    """An axis out of the lines of its file. UserError for fewer than two groups or an unknown role."""
    if len(groups) < 2 or len(set(groups)) < len(groups):
        raise UserError(f"{name}.csv: expected two different groups or more in the first line, found {groups}")
    cells = []
    for number, (place, row) in enumerate(lines):
        for group, content in zip(groups, row, strict=True):
            text, _, role = content.removeprefix("~").partition("|")
            if role and role not in ROLES:
                raise UserError(f"{place}: expected one of {', '.join(ROLES)} after |, found {role}; correct it")
            if text:
                cells.append(Cell(text, role, not content.startswith("~"), number, group))
    return Axis(name, tuple(groups), tuple(cells), kept)
