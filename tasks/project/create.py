"""Makes a project of one's own: params, graph, inboxes, git and DVC, and no code.

gleaner init FOLDER --example demo
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.commands.configure import configure_with, read_overlay
from pipeline.core.errors import UserError
from pipeline.core.installed import PIN_FILE, installed_version, template_folder
from tasks.git.command import run_git, try_git
from tasks.git.head import find_repository
from tasks.project.definition import definition_text, pin_text, project_definition, write_text

COPIED = (
    *("params.yaml", "prefect.yaml", "automations.yaml", "constraints.txt"),
    *(".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore"),
    *("arrivals/README.md", "inbox/texts/README.md", "inbox/feedback/README.md", "data/raw/.gitkeep"),
    "data/identity_terms",
)
DEMO, DEMO_FOLDER = "demo", "data/demo"
NOT_OF_A_NAME = re.compile(r"[^A-Za-z0-9 ._()-]+")  # what MLflow takes in names, see params/promotion.py
ADVICE = "`git add -A && git commit`: a version's lineage needs a commit"


def create_project(folder: Path, overlay: Mapping[str, Any] | None = None, demo: bool = False) -> None:
    """Make a project in a new or empty folder: params.yaml with ``overlay`` in it, dvc.yaml, prefect.yaml, inboxes.

    ``demo`` brings the demo's data and leaves its params. Git is left to `commit_project`. Raises UserError if the
    folder holds anything but a `.git`, or if the overlay has a fault; nothing is left behind then.
    """
    if folder.exists() and (not folder.is_dir() or any(path.name != ".git" for path in folder.iterdir())):
        raise UserError(f"{folder}: expected a new or empty folder for the project, found files; name another")
    is_new = not folder.exists()
    try:
        for name in (*COPIED, *([DEMO_FOLDER] if demo else [])):
            copy_from_template(name, folder)
        write_text(folder / "dvc.yaml", definition_text(project_definition()))
        write_text(folder / PIN_FILE, pin_text())
        if overlay:
            configure_with(overlay, folder / "params.yaml")
    except UserError:
        remove_files(folder, is_new)
        raise


def copy_from_template(name: str, folder: Path) -> None:
    """Copy a file or folder of the template, without compiled code, to the same place in ``folder``."""
    source, target = template_folder() / name, folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copyfile(source, target)


def remove_files(folder: Path, whole: bool) -> None:
    """Remove what was copied: the whole folder, or all in it but `.git`."""
    for path in [folder] if whole else [path for path in folder.iterdir() if path.name != ".git"]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def own_data_overlay(name: str) -> dict[str, Any]:
    """The changes to the demo's params for a project called ``name`` that reads its own files in data/raw."""
    model = NOT_OF_A_NAME.sub("-", name).strip(" ._()-") or "classifier"
    return {
        "ingest": {
            "path": "data/raw",
            "columns": {"text": ["text"], "label": "label", "split": None, "groups": {}},
        },
        "gate": {"min_test_rows": 50, "min_accuracy": None, "min_macro_f1": None, "max_group_gap": None},
        "report": {"title": name},
        "registry": {"model": model, "experiment": model},
    }


def example_names() -> list[str]:
    """The names that `gleaner init --example` takes."""
    return [DEMO, *sorted(path.stem for path in (template_folder() / "examples").glob("*.yaml"))]


def read_example(name: str, data: str | None) -> dict[str, Any] | None:
    """The overlay of an example, with ``data`` for ${GLEANER_DATA}; None for the demo, which is in params.yaml.

    Raises UserError if there is no example of this name.
    """
    if name not in example_names():
        raise UserError(f'--example: expected one of {", ".join(example_names())}, found "{name}"')
    return None if name == DEMO else read_overlay(template_folder() / "examples" / f"{name}.yaml", data)


def commit_project(folder: Path) -> str:
    """Make a git repository in the project and commit all of it; returns one line that says what was done.

    Inside a repository of the user's nothing is committed. Where git cannot commit, the line says why and what to do.
    """
    try:
        if find_repository(folder) is not None:
            return f"git: in the repository {find_repository(folder)}; {ADVICE}"
        run_git(folder, "init", "-q", "-b", "main")
        run_git(folder, "add", "-A")
        run_git(folder, "commit", "-q", "-m", f"A project for Gleaner {installed_version()}")
    except UserError as error:
        return f"git: no commit yet: {error}; then {ADVICE}"
    return f"git: first commit {try_git(folder, 'rev-parse', '--short', 'HEAD').stdout.decode().strip()}"
