"""The command `gleaner prune`: show or remove the versions, runs, DVC content and scratch files that nobody needs."""

from datetime import UTC, datetime
from pathlib import Path

from cli.exit_codes import exit_code
from flows.maintenance_lock import maintenance_lock
from flows.night_lock import night_lock
from flows.prefect_server import configure_environment
from pipeline.core.params import load_params
from pipeline.core.printable import printable_lines


@exit_code(stopped="what was not removed yet is still there; `gleaner prune` goes on")
def main(root: Path, dry_run: bool, keep_days: int) -> int:
    """Prune, or show what a prune would remove. Exit code 0, 2 user error, 130 Ctrl-C."""
    params = load_params(root / "params.yaml")
    configure_environment(root)
    from tasks.prune import apply_plan, make_plan, plan_lines

    with maintenance_lock(root), night_lock(root):
        plan = make_plan(root, params, keep_days, datetime.now(UTC))
        print(f"{'Would remove' if dry_run else 'Removed'}, if older than {keep_days} days and needed by nothing:")
        if not dry_run:
            apply_plan(root, plan)
    print(printable_lines("\n".join(plan_lines(plan))))
    return 0
