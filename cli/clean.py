"""The command `gleaner clean`: remove what a run makes, and say what was removed and how to get it back."""

from pathlib import Path

from cli.exit_codes import exit_code
from flows.maintenance_lock import maintenance_lock
from flows.night_lock import night_lock
from flows.prefect_server import configure_environment
from pipeline.core.printable import printable

STAYS = "Data, arrivals, inboxes, registered versions, .dvc/cache and every file that git tracks are as they were."


@exit_code(stopped="what was not removed yet is still there; `gleaner clean` goes on")
def main(root: Path) -> int:
    """Clean the project. Exit code 0, 2 user error, 130 Ctrl-C."""
    configure_environment(root)
    from tasks.clean import clean

    with maintenance_lock(root), night_lock(root):
        removed = clean(root)
    print("Removed:" if removed else "Removed nothing: no run has left anything.")
    for each in removed:
        print(f"  {printable(each.path)}: {each.files} files, {each.bytes / 1e6:.1f} MB")
    print(STAYS)
    if removed:
        print("`gleaner run` brings outputs back: from .dvc/cache what dvc.lock records, all else by running stages.")
    return 0
