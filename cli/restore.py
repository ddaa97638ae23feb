"""The command `gleaner restore`: make the project of a backup anew, and check that its champion is whole."""

from contextlib import ExitStack
from pathlib import Path

from cli.exit_codes import exit_code
from flows.maintenance_lock import maintenance_lock
from flows.night_lock import night_lock
from flows.prefect_server import configure_environment
from pipeline.core.printable import printable


@exit_code(
    stopped="without the line `Restored:` the project is not whole; run the same command again, with --force if it "
    "finds entries: they move into a folder beside it"
)
def main(backup: Path, target: Path, force: bool) -> int:
    """Restore a backup into ``target``. Exit code 0, 2 user error or a champion that is not whole, 130 Ctrl-C."""
    configure_environment(target.absolute())
    from tasks.backup.restore import restore

    with ExitStack() as locks:
        if force and (target / "params.yaml").is_file():  # a night that is at work there must not lose its project
            locks.enter_context(maintenance_lock(target))
            locks.enter_context(night_lock(target))
        done = restore(backup, target, force)
    manifest = done.manifest
    print(f"Restored: {len(manifest.files)} files of the backup of {manifest.made_at}, in {done.project}")
    print("".join(f"  {printable(line)}\n" for line in [*done.notes, *manifest.left]), end="", flush=True)
    from tasks.registry.champion_check import check_champion

    print(f"  {printable(check_champion(done.project))}")
    return 0
