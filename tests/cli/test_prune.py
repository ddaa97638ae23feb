"""`gleaner prune` says what it would remove before it removes it, and asks where somebody sits at a terminal."""

import io
import os
import shutil
from pathlib import Path

import pytest

from cli import prune

ROOT = Path(__file__).parents[2]


class Terminal(io.StringIO):
    """Standard input at which somebody sits."""

    def isatty(self) -> bool:
        """True."""
        return True


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Two megabytes in the scratch folder of a project, which nothing has changed for years."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    path = tmp_path / "data" / "scratch" / "finetune" / "old"
    path.parent.mkdir(parents=True)
    path.write_text("x" * 2_000_000)
    os.utime(path, (0, 0))
    return path


@pytest.mark.parametrize(
    ("stdin", "is_agreed", "is_removed"),
    [
        (Terminal("n\n"), False, False),
        (Terminal("\n"), False, False),
        (Terminal("y\n"), False, True),
        (Terminal(""), True, True),
        (io.StringIO(""), False, True),  # a schedule, which nobody answers for
    ],
)
def test_prune_says_what_and_asks_in_a_terminal(
    old: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    stdin: io.StringIO,
    is_agreed: bool,
    is_removed: bool,
) -> None:
    monkeypatch.setattr("sys.stdin", stdin)
    assert prune.main(tmp_path, dry_run=False, keep_days=30, is_agreed=is_agreed) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Removes, if older than 30 days")
    assert "data/scratch       1         2.0 MB" in printed
    assert old.exists() != is_removed
    assert printed.rstrip().endswith("Removed: 1 in all, 2.0 MB" if is_removed else "Nothing was removed.")
