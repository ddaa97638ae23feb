"""The command `gleaner forget` in a test."""

from pathlib import Path

from cli import forget as command


def forget(root: Path, *ids: str, match: Path | None = None, retire: bool = False, dry_run: bool = False) -> int:
    """Run the command, and return its exit code."""
    return command.main(root, list(ids), match, retire, dry_run)
