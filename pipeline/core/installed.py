"""The installed Gleaner: what a new project is made from, and a digest of the code of each stage.

A project outside Gleaner's own checkout holds no code. Its gleaner.yaml names the version of Gleaner that it was made
or upgraded with, and a digest of each stage's code. DVC tracks these digests as params, so that a stage is run again
when an upgrade changes its code.
"""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError
from pipeline.core.yaml_file import read_yaml

CODE_FOLDER = Path(__file__).parents[2]  # holds the package `pipeline`: site-packages, or a checkout
PACKED_TEMPLATE = CODE_FOLDER / "gleaner" / "template"  # only in a wheel; pyproject.toml says what is in it
PIN_FILE = "gleaner.yaml"
DIGEST_DIGITS = 16
UNCOMPILED = (".py", ".j2", ".css")  # the files of code that count; an editor or Python may leave others beside them


def template_folder() -> Path:
    """The folder that holds params.yaml, dvc.yaml and whatever else a project begins with."""
    return PACKED_TEMPLATE if PACKED_TEMPLATE.is_dir() else CODE_FOLDER


def installed_version() -> str:
    """The version of the installed Gleaner, such as 0.1.0."""
    return version("gleaner")


def is_code_path(path: Any) -> bool:
    """Whether a dep in dvc.yaml names code of Gleaner, relative to `CODE_FOLDER`."""
    return isinstance(path, str) and path.startswith("pipeline/")


def stage_digests(code: Path = CODE_FOLDER, template: Path | None = None) -> dict[str, str]:
    """A digest of the code of each stage, by name: the first 16 hex digits of a SHA-256 of its files' names and bytes.

    ``code`` is the folder that holds the package `pipeline`, and ``template`` the one that holds dvc.yaml; by default
    those that are installed.
    """
    files = stage_code_files(code, template or template_folder())
    return {name: digest_files(paths, code) for name, paths in files.items()}


def stage_code_files(code: Path, template: Path) -> dict[str, list[Path]]:
    """The files of code of each stage, by name: what dvc.yaml lists, and the packages around it, in name order."""
    stages = read_yaml(template / "dvc.yaml")["stages"]
    return {
        name: files_of_code(code, [dep for dep in stage["deps"] if is_code_path(dep)]) for name, stage in stages.items()
    }


def files_of_code(code: Path, paths: list[str]) -> list[Path]:
    """The files at these paths or in these folders, and the ``__init__.py`` of every package that they are in."""
    listed = [
        file for path in paths for file in ([code / path] if path.endswith(UNCOMPILED) else (code / path).rglob("*"))
    ]
    files = {file for file in listed if file.suffix in UNCOMPILED}
    packages = {parent / "__init__.py" for file in files for parent in file.relative_to(code).parents if parent.name}
    return sorted(files | {code / package for package in packages if (code / package).exists()})


def digest_files(files: list[Path], code: Path) -> str:
    """A digest of the names, relative to ``code``, and the contents of files."""
    digest = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.relative_to(code).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:DIGEST_DIGITS]


def read_pin(root: Path) -> dict[str, Any]:
    """The content of a project's gleaner.yaml: `gleaner`, a version, and `stages`, digests by name.

    Empty where there is no such file: the project is a checkout of Gleaner and holds its own code. Raises UserError if
    the file is broken.
    """
    path = root / PIN_FILE
    if not path.exists():
        return {}
    content = read_yaml(path)
    if not isinstance(content, dict) or not isinstance(content.get("stages"), dict):
        raise UserError(f"{path}: expected a version and a digest of each stage, found others; run `gleaner upgrade`")
    return content


def require_pinned_code(root: Path, *stages: str) -> None:
    """Check that the installed code of these stages, by default of all, is the code that gleaner.yaml names.

    Raises UserError that names the stages with other code. A project without gleaner.yaml holds its own code.
    """
    pinned = read_pin(root)
    if not pinned:
        return
    installed = stage_digests()
    changed = [
        name
        for name in stages or sorted(installed.keys() | pinned["stages"].keys())
        if installed.get(name) != pinned["stages"].get(name)
    ]
    if changed:
        raise UserError(
            f"{PIN_FILE}: expected the code of Gleaner {pinned.get('gleaner')}, found Gleaner {installed_version()} "
            f"with other code of {', '.join(changed)}; run `gleaner upgrade`, or install the former version"
        )
