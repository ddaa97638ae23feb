"""The command `gleaner upgrade`: bring a project to the installed Gleaner, and say what changes and what runs again."""

from pathlib import Path

from pipeline.core.printable import printable_lines
from tasks.project.params_upgrade import KeyChanges
from tasks.project.upgrade import apply_upgrade, plan_upgrade


def main(root: Path, dry_run: bool) -> int:
    """Show the difference, and write it unless ``dry_run``. Exit code 0. Raises UserError, and then changes nothing."""
    upgrade = plan_upgrade(root)
    if not upgrade.files:
        print(f"nothing to do: the project is at Gleaner {upgrade.after}, code and params alike")
        return 0
    print(printable_lines(upgrade.difference()), end="")
    print(f"Gleaner {upgrade.before} -> {upgrade.after}")
    print(printable_lines(key_lines(upgrade.keys)), end="")
    print(f"Stages that run again: {', '.join(upgrade.rerun) or 'none'}")
    if dry_run:
        print("Nothing was changed (--dry-run).")
        return 0
    apply_upgrade(root, upgrade)
    names = " ".join(upgrade.files)
    print(f"Changed: {names}. Next: `git commit -m 'Gleaner {upgrade.after}' {names}`, then `gleaner run`")
    return 0


def key_lines(keys: KeyChanges) -> str:
    """A line for each change of a key in params.yaml."""
    lines = [f"params.yaml: new {key}" for key in keys.added]
    lines += [f"params.yaml: {old} is now {new}" for old, new in keys.renamed.items()]
    lines += [f"params.yaml: {key} is no longer read; removed" for key in keys.removed]
    return "".join(f"{line}\n" for line in lines)
