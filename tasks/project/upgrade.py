"""Brings a project to the installed Gleaner: new params, the stages as they are now, and the digests of their code.

gleaner upgrade
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from pipeline.commands.configure import round_trip_yaml
from pipeline.core.errors import UserError
from pipeline.core.installed import PIN_FILE, installed_version, read_pin, template_folder
from pipeline.core.params import validate_params
from pipeline.core.yaml_file import parse_yaml, read_yaml
from tasks.git.command import run_git
from tasks.git.head import find_repository
from tasks.project.definition import definition_text, installed_pin, pin_text, project_definition, write_text
from tasks.project.params_upgrade import KeyChanges, upgrade_keys

REPLACED = ("params.yaml", "dvc.yaml", "constraints.txt", PIN_FILE)
SHOWN = ("params.yaml", "dvc.yaml")  # whose difference is shown; the others hold versions and digests


@dataclass(frozen=True)
class Upgrade:
    """What an upgrade changes: the new text of each file that is not the same, and the stages that run again."""

    before: str  # versions of Gleaner
    after: str
    files: dict[str, tuple[str, str]]  # name: old and new text
    keys: KeyChanges
    rerun: tuple[str, ...]

    def difference(self) -> str:
        """The changes of params.yaml and dvc.yaml as a unified diff."""
        lines: list[str] = []
        for name in SHOWN:
            old, new = self.files.get(name, ("", ""))
            lines += difflib.unified_diff(old.splitlines(True), new.splitlines(True), name, name, n=1)
        return "".join(lines)


def plan_upgrade(root: Path) -> Upgrade:
    """What `apply_upgrade` would change; nothing is written.

    Raises UserError if the project has no gleaner.yaml, or if its params are not valid with the installed Gleaner.
    """
    pinned = read_pin(root)
    if not pinned:
        raise UserError(
            f"{root}: expected a project with {PIN_FILE}, found none; a checkout of Gleaner is upgraded by `git pull`"
        )
    keys, params = upgraded_params(root)
    definition = upgraded_definition(root, pinned)
    new = {
        "params.yaml": params,
        "dvc.yaml": definition_text(definition),
        "constraints.txt": (template_folder() / "constraints.txt").read_text(encoding="utf-8"),
        PIN_FILE: pin_text(),
    }
    old = {name: read_if_there(root / name) for name in REPLACED}
    files = {name: (old[name], new[name]) for name in REPLACED if old[name] != new[name]}
    rerun = stages_to_rerun(read_yaml(root / "dvc.yaml")["stages"], definition["stages"], pinned["stages"], keys)
    return Upgrade(str(pinned.get("gleaner")), installed_version(), files, keys, rerun)


def apply_upgrade(root: Path, upgrade: Upgrade) -> None:
    """Write the files, gleaner.yaml last. Raises UserError if git has no copy of what they replace."""
    require_committed(root, list(upgrade.files))
    for name in REPLACED:
        if name in upgrade.files:
            write_text(root / name, upgrade.files[name][1])


def upgraded_params(root: Path) -> tuple[KeyChanges, str]:
    """The changes of keys, and the text of params.yaml with them. Raises UserError if a value is not valid now."""
    path, yaml, text = root / "params.yaml", round_trip_yaml(), StringIO()
    read_yaml(path)  # names the fault of a missing or broken file
    content = yaml.load(path.read_text(encoding="utf-8"))
    keys = upgrade_keys(content, yaml.load((template_folder() / "params.yaml").read_text(encoding="utf-8")))
    yaml.dump(content, text)
    validate_params(parse_yaml(text.getvalue(), path))
    return keys, text.getvalue()


def upgraded_definition(root: Path, pinned: Mapping[str, Any]) -> dict[str, Any]:
    """The content of dvc.yaml: Gleaner's stages as they are now, and stages, metrics and plots of the user."""
    content, own = project_definition(), read_yaml(root / "dvc.yaml")
    content["stages"] |= {name: stage for name, stage in own["stages"].items() if name not in pinned["stages"]}
    for listed in ("metrics", "plots"):
        content[listed] += [entry for entry in own.get(listed) or [] if entry not in content[listed]]
    return {**{key: value for key, value in own.items() if key not in content}, **content}


def stages_to_rerun(
    old: Mapping[str, Any], new: Mapping[str, Any], pinned: Mapping[str, str], keys: KeyChanges
) -> tuple[str, ...]:
    """The stages of ``new`` whose definition, code or params changed, and those that read what such a stage makes."""
    digests = installed_pin()["stages"]
    rerun: set[str] = set()
    makers = {out: name for name, stage in new.items() for out in outputs(stage)}
    for name in new:
        if (
            old.get(name) != new[name]
            or pinned.get(name) != digests.get(name)
            or keys.sections & set(filter(is_name, new[name].get("params", [])))
        ):
            rerun.add(name)
    while more := {
        name
        for name, stage in new.items()
        if name not in rerun and any(makers.get(dep) in rerun for dep in stage.get("deps", []))
    }:
        rerun |= more
    return tuple(name for name in new if name in rerun)


def outputs(stage: Mapping[str, Any]) -> list[str]:
    """The paths of the outputs of a stage of dvc.yaml; an entry with options is a mapping with the path as its key."""
    entries = [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]
    return [next(iter(entry)) if isinstance(entry, Mapping) else entry for entry in entries]


def is_name(entry: Any) -> bool:
    """Whether an entry of a stage's params names a section of params.yaml, and not another file."""
    return isinstance(entry, str)


def require_committed(root: Path, names: list[str]) -> None:
    """Raise UserError if one of these files differs from its commit, or git does not hold it."""
    if find_repository(root) is None:
        raise UserError(f"{root}: expected a git repository, so that an upgrade can be undone, found none; `git init`")
    present = [name for name in names if (root / name).exists()]
    changed = run_git(root, "status", "--porcelain", "--", *present).decode().splitlines()
    if changed:
        found = ", ".join(line[3:] for line in changed)
        raise UserError(f"expected committed files, so that an upgrade can be undone, found changes in {found}; commit")


def read_if_there(path: Path) -> str:
    """The text of a file; empty if there is none."""
    return path.read_text(encoding="utf-8") if path.exists() else ""
