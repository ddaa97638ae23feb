"""The project that a command works in: the current folder. Elsewhere a command stops before it makes anything."""

from pathlib import Path

from pipeline.core.errors import UserError

PROJECT_FILES = ("params.yaml", "dvc.yaml")


def project_folder() -> Path:
    """The current folder. Raises UserError where it is no Gleaner project."""
    folder = Path.cwd()
    if not all((folder / name).is_file() for name in PROJECT_FILES):
        raise UserError(
            f"{folder}: expected a Gleaner project, {' and '.join(PROJECT_FILES)}, found none; `cd` into one, or make "
            "one with `gleaner init FOLDER`"
        )
    return folder


def project_of_bundle(bundle: Path | None) -> Path:
    """The current folder, which may be no project where ``bundle`` names a classifier that lies elsewhere.

    Raises UserError where it has to be one and is none.
    """
    return project_folder() if bundle is None else Path.cwd()
