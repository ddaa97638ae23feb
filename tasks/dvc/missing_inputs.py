"""The inputs of stages that nobody makes and that are not there: a run would fail in the middle."""

from pathlib import Path

from tasks.dvc.repository import open_repo


def missing_inputs(root: Path) -> dict[str, list[str]]:
    """The paths that stages of dvc.yaml read, that no stage makes and DVC tracks nowhere, and that do not exist.

    Each maps to the names of the stages that read it. Raises UserError if DVC cannot read the project.
    """
    missing: dict[str, list[str]] = {}
    with open_repo(root) as repo:
        made = [Path(out.fs_path) for out in repo.index.outs]
        for stage in repo.index.stages:
            for dep in stage.deps:
                path = Path(dep.fs_path)
                is_made = any(path.is_relative_to(out) or out.is_relative_to(path) for out in made)
                if dep.protocol == "local" and not path.exists() and not is_made:
                    missing.setdefault(dep.def_path, []).append(getattr(stage, "name", None) or stage.addressing)
    return missing
