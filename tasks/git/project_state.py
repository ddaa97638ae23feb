"""The state that a training began with. A version is registered with the lineage of that state, or not at all."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.core.digests import file_sha256
from pipeline.core.errors import UserError
from pipeline.core.params import read_yaml
from tasks.dvc.lock_file import CODE_FOLDERS, SETTINGS_FILES
from tasks.dvc.outputs import differing_outputs, mend_cache
from tasks.dvc.stage_record import outdated_stages
from tasks.git.head import Head, read_head

MAX_NAMED = 4  # changes in an error message, which stays one line


@dataclass(frozen=True)
class ProjectState:
    """The commit that is checked out, and the SHA-256 of code and settings by path."""

    head: Head
    files: dict[str, str]


def read_state(root: Path) -> ProjectState:
    """The state of the project now. Raises UserError if git fails in a repository."""
    return ProjectState(read_head(root), {name: file_sha256(root / name) for name in code_and_settings(root)})


def code_and_settings(root: Path) -> list[str]:
    """The files of code and settings, the scripts that stages depend on included, without compiled code."""
    inside = (path for folder in CODE_FOLDERS for path in (root / folder).rglob("*") if is_code_file(path))
    code = {path.relative_to(root).as_posix() for path in inside}
    return sorted(code | {name for name in (*SETTINGS_FILES, *stage_scripts(root)) if (root / name).is_file()})


def is_code_file(path: Path) -> bool:
    """Whether a path in a folder of code is a file that counts: neither compiled, nor an editor's own."""
    is_editors = path.name.startswith((".", "#")) or path.name.endswith("~")
    return path.is_file() and not is_editors and "__pycache__" not in path.parts


def stage_scripts(root: Path) -> list[str]:
    """The Python files that the stages of dvc.yaml depend on."""
    path = root / "dvc.yaml"
    stages = (read_yaml(path).get("stages") or {}) if path.exists() else {}
    deps = [dep for stage in stages.values() for dep in stage.get("do", stage).get("deps", [])]
    return [dep for dep in deps if isinstance(dep, str) and dep.endswith(".py")]


def file_changes(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """A line for each file that is new, is gone, or has another digest; both map paths to digests."""
    return [
        f"{path} is new" if path not in before else f"{path} is gone" if path not in after else f"{path} changed"
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    ]


def require_unchanged(root: Path, start: ProjectState, stages: list[str]) -> None:
    """Check that the project is in the state ``start``, and that all outputs are those of dvc.lock, byte for byte.

    Damaged objects of these outputs in the DVC cache are replaced. Raises UserError that names what changed.
    """
    now = read_state(root)
    changes = [f"{start.head.short} was checked out, now {now.head.short}"] if now.head != start.head else []
    changes += file_changes(start.files, now.files)
    changes += outdated_stages(root, stages)
    differing = [path for stage in stages for path in differing_outputs(stage, root)]
    changes += [f"{path} is not what dvc.lock records" for path in differing]
    if changes:
        more = f" and {len(changes) - MAX_NAMED} more" if len(changes) > MAX_NAMED else ""
        raise UserError(
            f"expected the project as it was when the run began, found: {'; '.join(changes[:MAX_NAMED])}{more}; "
            "nothing is registered, as nobody could tell what the version was made of: run again, which redoes only "
            "what is not up to date"
        )
    mend_cache(root, stages)
