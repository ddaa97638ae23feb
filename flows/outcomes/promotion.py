"""The outcome of a promotion as a table: printed at its end, and published as a Prefect artifact."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from flows.outcomes.terminal import code_key, dim_key, escape
from flows.outcomes.training import METRICS, Rows, rich_table
from pipeline.core.params import Params, load_params
from pipeline.policies.promotion import PromotionVerdict, approval
from tasks.registry.champion_record import read_champion_record

if TYPE_CHECKING:
    from tasks.approve import Approval
    from tasks.promotion_outcome import Promotion
    from tasks.rollback import Rollback


def print_promotion(promotion: "Promotion") -> None:
    """Print the comparison, each rule, how far the test set is used up, and the outcome."""
    console = Console(highlight=False, soft_wrap=True)
    for note in promotion.notes:
        console.print(escape(f"Note: {note}"))
    if promotion.verdict is not None:
        console.print(rich_table(rows_title(promotion.verdict), score_rows(promotion.verdict)))
        console.print("\n".join(map(dim_key, verdict_lines(promotion))))
    console.print(f"[bold]{escape(promotion.message)}[/bold]")
    if promotion.page is not None:
        console.print(escape(f"Page: {promotion.page}"))


def print_outcome(outcome: "Rollback | Approval") -> None:
    """Print the outcome of a rollback or of an approval."""
    console = Console(highlight=False, soft_wrap=True)
    for note in outcome.notes:
        console.print(escape(f"Note: {note}"))
    console.print(f"[bold]{escape(outcome.message)}[/bold]")


def print_waiting(root: Path) -> None:
    """Print which versions wait for approval, and how to settle that; nothing if none does."""
    console = Console(highlight=False, soft_wrap=True)
    for line in waiting_lines(root, load_params(root / "params.yaml")):
        console.print(f"[bold]Waiting:[/bold] {escape(line)}")


def waiting_lines(root: Path, params: Params) -> list[str]:
    """A line for each version that waits for approval."""
    now, log = datetime.now(UTC), read_champion_record(root, params.registry.model).log
    if not any(request.is_open(now) for request in log.requests):
        return []  # said without MLflow, whose import takes seconds
    from tasks.approve import list_waiting

    return [approval.describe_request(request.entry) for request in list_waiting(root, params)]


def lapsed_lines(root: Path, params: Params, since: datetime, until: datetime) -> list[str]:
    """A line for each version that nobody answered and whose time ended after ``since`` and by ``until``."""
    from tasks.approve import list_lapsed

    return [approval.describe_lapse(request.entry) for request in list_lapsed(root, params, since, until)]


def as_markdown(promotion: "Promotion") -> str:
    """The comparison in Markdown, as `print_promotion` prints it."""
    parts = [f"# {promotion.message}", *(f"Note: {note}" for note in promotion.notes)]
    if promotion.verdict is not None:
        rows = score_rows(promotion.verdict)
        grid = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
        parts += [rows_title(promotion.verdict), "\n".join(f"| {' | '.join(row)} |" for row in grid)]
        parts += ["\n".join(f"- {code_key(line.strip())}" for line in verdict_lines(promotion))]
    return "\n\n".join(parts)


def rows_title(verdict: PromotionVerdict) -> str:
    """Which rows were compared."""
    rows = verdict.rows
    left_out = (
        "the champion's training rows could not be had, none is left out"
        if rows.left_out is None
        else f"{rows.left_out} left out that the champion was trained on"
    )
    return f"{rows.compared} of {rows.total} test rows of version {verdict.challenger.version}, {left_out}"


def score_rows(verdict: PromotionVerdict) -> Rows:
    """One row for each metric, and one for each gap between groups."""
    old, new = (f"version {model.version}" for model in (verdict.champion, verdict.challenger))
    bounds = f"lead, bounds at {1 - verdict.test_set_reuse.level:.2%} each"
    rows = [
        {
            "metric": METRICS[name],
            f"champion, {old}": f"{lead.champion:.3f}",
            f"challenger, {new}": f"{lead.challenger:.3f}",
            bounds: f"{lead.difference:+.3f} ({lead.low:+.3f} to {lead.high:+.3f})",
        }
        for name, lead in verdict.scores.items()
    ]
    for gap in verdict.gaps:
        if gap.champion is not None and gap.challenger is not None:
            change = f"{gap.increase:+.3f} ({gap.increase_low:+.3f} to {gap.increase_high:+.3f})"
            numbers = [f"{gap.champion:.3f}", f"{gap.challenger:.3f}", change]
            rows.append(dict(zip(rows[0], [f"gap between groups of {gap.attribute}", *numbers], strict=True)))
    return rows


def verdict_lines(promotion: "Promotion") -> list[str]:
    """The verdict, its reasons, and how far the test set is used up, line by line."""
    verdict = promotion.verdict
    assert verdict is not None
    reuse, agreement = verdict.test_set_reuse, verdict.agreement
    agreement_line = (
        f"Only the challenger is right on {agreement.challenger_only} rows, "
        f"only the champion on {agreement.champion_only}, both on {agreement.both}"
    )
    reuse_line = (
        f"Test set: judgement {reuse.judgement} of at most {reuse.max_judgements}; a lead of {reuse.detectable:.3f} "
        f"would have shown, the next judgement sees {reuse.next_detectable:.3f}"
    )
    lines = [
        agreement_line,
        f"Verdict: {verdict.status}" + (" (stored: the same pair was judged before)" if promotion.reused else ""),
        *(f"  {reason}" for reason in verdict.reasons),
        reuse_line,
    ]
    if reuse.fresh_labels_due:
        lines.append("Fresh test labels are due: this test set can tell little more")
    return lines
