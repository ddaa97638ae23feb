"""The command `gleaner prune`: show or remove the versions, runs, DVC content and scratch files that nobody needs."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from cli.exit_codes import exit_code
from flows.maintenance_lock import maintenance_lock
from flows.night_lock import night_lock
from flows.prefect_server import configure_environment
from pipeline.core.params import load_params
from pipeline.core.printable import printable_lines


@exit_code(stopped="what was not removed yet is still there; `gleaner prune` goes on")
def main(root: Path, dry_run: bool, keep_days: int, is_agreed: bool = False) -> int:
    """Show what a prune would remove, and remove it, in a terminal if the user agrees or ``is_agreed`` already.

    Exit code 0, 2 user error, 130 Ctrl-C.
    """
    params = load_params(root / "params.yaml")
    configure_environment(root)
    from tasks.prune import apply_plan, make_plan, plan_lines, total, total_names

    with maintenance_lock(root), night_lock(root):
        plan = make_plan(root, params, keep_days, datetime.now(UTC))
        print(f"{'Would remove' if dry_run else 'Removes'}, if older than {keep_days} days and needed by nothing:")
        print(printable_lines("\n".join(plan_lines(plan))), flush=True)
        if dry_run or not total_names(plan):
            return 0
        if not is_agreed and sys.stdin.isatty() and input("Remove it? [y/N] ").strip().lower() not in ("y", "yes"):
            print("Nothing was removed.")
            return 0
        apply_plan(root, plan)
    print(f"Removed: {total_names(plan)} in all, {total(plan) / 1e6:.1f} MB")
    return 0
