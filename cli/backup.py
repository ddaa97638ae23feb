"""The command `gleaner backup`: copy the whole project into a folder, and say what is not in it."""

from pathlib import Path

from cli.exit_codes import exit_code
from flows.maintenance_lock import maintenance_lock
from flows.prefect_server import configure_environment
from pipeline.core.printable import printable


@exit_code(stopped="the backup is unfinished; the same command starts it again")
def main(root: Path, folder: Path) -> int:
    """Make a backup. Exit code 0, 2 user error, 130 Ctrl-C."""
    configure_environment(root)
    from tasks.backup.create import back_up, require_project

    require_project(root)
    with maintenance_lock(root):
        manifest = back_up(root, folder)
    print(f"Backed up: {len(manifest.files)} files, {manifest.size / 1e6:.1f} MB, in {folder}")
    print("".join(f"  not in it: {printable(line)}\n" for line in manifest.left), end="")
    print("It holds texts of rows: keep it where only those read it who may read the data.")
    return 0
