"""The command `gleaner forget`: remove the rows of a person from every place that keeps texts."""

from pathlib import Path

from cli.exit_codes import exit_code
from flows.maintenance_lock import maintenance_lock
from flows.night_lock import night_lock
from flows.prefect_server import configure_environment
from pipeline.core.params import load_params
from pipeline.core.printable import printable

STAYS = "git's history and backups that were made before still hold what they held; see docs/how-to/forget-a-person.md"


@exit_code(stopped="the same command goes on from here")
def main(root: Path, ids: list[str], match: Path | None, retire: bool, dry_run: bool) -> int:
    """Forget rows.

    Exit code 0 nothing is left, 1 something is left for people to do or a row was not found, 2 user error, 130 Ctrl-C.
    """
    params = load_params(root / "params.yaml")
    from pipeline.labelling.forgetting import read_requests

    wanted, requests = read_requests(ids, match, params.ingest)
    configure_environment(root)
    from tasks.forget.lines import count_lines, left_lines
    from tasks.forget.readiness import prepare_project
    from tasks.forget.run import apply_plan, make_plan

    with maintenance_lock(root), night_lock(root):
        prepare_project(root, params, dry_run)
        plan = make_plan(root, params, wanted, requests, match)
        retired = [] if dry_run else apply_plan(root, params, wanted, plan, retire)
    counts, left = [*map(printable, count_lines(plan))], [*map(printable, left_lines(plan))]
    print("Would remove:" if dry_run else "Removed:", *(counts or ["nothing, no place holds these rows"]), sep="\n  ")
    for title, known in (("that learned", True), ("that may have learned", False)):
        if lines := [learned.line for learned in plan.learned if learned.is_known == known]:
            print(f"Versions {title} from these rows:", *lines, sep="\n  ")
    for learned in retired:
        doubt = "" if learned.is_known else ", which may have learned from these rows"
        print(f"Retired: version {learned.version.number}{doubt}; nobody can promote it or roll back to it")
    if any(learned.is_champion for learned in plan.learned):
        print("The champion serves on: train and promote a version without the rows, with `gleaner run`")
    for name in plan.missing:
        print(f"Not found: {printable(name)}")
    if left:
        print("Left for you:", *left, sep="\n  ")
    print(
        *map(printable, plan.notes), STAYS, *([f"{match} holds the texts: remove it, too"] if match else []), sep="\n"
    )
    return 1 if left or plan.missing else 0
