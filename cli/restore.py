"""The command `gleaner restore`: make the project of a backup anew, and check that its champion is whole."""

from pathlib import Path

from cli.exit_codes import exit_code


@exit_code(stopped="nothing is in place yet; the same command starts the restore again")
def main(backup: Path, target: Path, force: bool) -> int:
    """Restore a backup into ``target``. Exit code 0, 2 user error, 130 Ctrl-C."""
    from tasks.backup.restore import restore

    done = restore(backup, target, force)
    manifest = done.manifest
    print(f"Restored: {len(manifest.files)} files of the backup of {manifest.made_at}, in {done.project}")
    from tasks.registry.champion_check import check_champion

    print("".join(f"  {line}\n" for line in [*done.notes, *manifest.left, check_champion(done.project)]), end="")
    return 0
