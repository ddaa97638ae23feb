"""The command `gleaner init`: make a project of one's own in a folder, and say what to do next."""

import shlex
from pathlib import Path

from tasks.project.create import DEMO, commit_project, create_project, own_data_overlay, read_example

NEXT_WITH_OWN_DATA = """\
Next: put train.csv and test.csv (columns text,label) and unlabelled.csv (column text) into data/raw,
name other files or columns in params.yaml under ingest, then `gleaner run`."""


def main(folder: Path, example: str | None, data: str | None) -> int:
    """Make the project; exit code 0. Raises UserError if the folder is not empty, or the example is not known."""
    overlay = own_data_overlay(folder.resolve().name) if example is None else read_example(example, data)
    create_project(folder, overlay, demo=example == DEMO)
    print(f"Project: {folder}")
    print(commit_project(folder))
    print(NEXT_WITH_OWN_DATA if example is None else f"Next: cd {shlex.quote(str(folder))} && gleaner run")
    return 0
