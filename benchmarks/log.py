"""LOG.md: rows are added to its tables; none is ever removed."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOG = ROOT / "benchmarks" / "LOG.md"


def add_row(row: str, heading: str, table: str = "", path: Path = LOG) -> None:
    """Add a row at the end of the first table below ``heading``.

    If there is no such heading, it is added first, followed by ``table``: the text and the head of a new table.
    """
    text = path.read_text(encoding="utf-8")
    if heading not in text.splitlines():
        text = f"{text.rstrip()}\n\n{heading}\n\n{table.strip()}\n"
    lines = text.splitlines()
    start = next(i for i in range(lines.index(heading), len(lines)) if lines[i].startswith("|"))
    end = next((i for i in range(start, len(lines)) if not lines[i].startswith("|")), len(lines))
    path.write_text("\n".join([*lines[:end], row, *lines[end:]]) + "\n", encoding="utf-8")


def commit(root: Path = ROOT) -> str:
    """The short hash of the commit that is checked out, with a + where tracked code differs from it."""
    head = git(root, "rev-parse", "--short", "HEAD").strip()
    excluded = (":!benchmarks/results", ":!benchmarks/LOG.md")  # the measurements write these
    return head + ("+" if git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", *excluded) else "")


def git(root: Path, *words: str) -> str:
    """What a git command prints."""
    return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True).stdout
