"""What a promotion came to, as a table: printed at its end, and published as a Prefect artifact."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from flows.outcomes.training import Rows, table
from pipeline.policies.promotion import Verdict

if TYPE_CHECKING:
    from tasks.promote import Promotion
    from tasks.rollback import Rollback

NAMES = {"accuracy": "accuracy", "macro_f1": "macro-F1"}


def show(promotion: "Promotion") -> None:
    """Print the comparison, each rule, what the test set has left, and what follows."""
    console = Console(highlight=False, soft_wrap=True)
    for note in promotion.notes:
        console.print(escape(f"Note: {note}"))
    if promotion.verdict is not None:
        console.print(table(title(promotion.verdict), scores(promotion.verdict)))
        console.print(escape("\n".join(lines(promotion))))
    console.print(f"[bold]{escape(promotion.said)}[/bold]")
    if promotion.page is not None:
        console.print(escape(f"Page: {promotion.page}"))


def show_rollback(done: "Rollback") -> None:
    """Print what follows."""
    console = Console(highlight=False, soft_wrap=True)
    for note in done.notes:
        console.print(escape(f"Note: {note}"))
    console.print(f"[bold]{escape(done.said)}[/bold]")


def as_text(promotion: "Promotion") -> str:
    """The same in Markdown."""
    parts = [f"# {promotion.said}", *(f"Note: {note}" for note in promotion.notes)]
    if promotion.verdict is not None:
        rows = scores(promotion.verdict)
        grid = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
        parts += [title(promotion.verdict), "\n".join(f"| {' | '.join(row)} |" for row in grid)]
        parts += ["\n".join(f"- {line.strip()}" for line in lines(promotion))]
    return "\n\n".join(parts)


def title(verdict: Verdict) -> str:
    """Which rows were compared."""
    rows = verdict.rows
    left_out = (
        "the champion's training rows could not be had, none is left out"
        if rows.left_out is None
        else f"{rows.left_out} left out that the champion was trained on"
    )
    return f"{rows.compared} of {rows.total} test rows of version {verdict.challenger.version}, {left_out}"


def scores(verdict: Verdict) -> Rows:
    """A row for each metric."""
    old, new = (f"version {one.version}" for one in (verdict.champion, verdict.challenger))
    bounds = f"lead, bounds at {1 - verdict.wear.level:.2%} each"
    rows = [
        {
            "metric": NAMES[name],
            f"champion, {old}": f"{one.champion:.3f}",
            f"challenger, {new}": f"{one.challenger:.3f}",
            bounds: f"{one.difference:+.3f} ({one.low:+.3f} to {one.high:+.3f})",
        }
        for name, one in verdict.scores.items()
    ]
    for gap in verdict.gaps:
        if gap.champion is not None and gap.challenger is not None:
            change = f"{gap.increase:+.3f} ({gap.increase_low:+.3f} to {gap.increase_high:+.3f})"
            numbers = [f"{gap.champion:.3f}", f"{gap.challenger:.3f}", change]
            rows.append(dict(zip(rows[0], [f"gap between groups of {gap.attribute}", *numbers], strict=True)))
    return rows


def lines(promotion: "Promotion") -> list[str]:
    """The verdict's reasons, and the wear of the test set."""
    verdict = promotion.verdict
    assert verdict is not None
    worn, agreed = verdict.wear, verdict.agreement
    right = (
        f"Only the challenger is right on {agreed.challenger_only} rows, only the champion on {agreed.champion_only}, "
        f"both on {agreed.both}"
    )
    left = (
        f"Test set: judgement {worn.judgement} of at most {worn.max_judgements}; a lead of {worn.detectable:.3f} would "
        f"have shown, the next judgement sees {worn.next_detectable:.3f}"
    )
    found = [
        right,
        f"Verdict: {verdict.status}" + (" (stored: the same pair was judged before)" if promotion.again else ""),
        *(f"  {reason}" for reason in verdict.reasons),
        left,
    ]
    if worn.fresh_labels_due:
        found.append("Fresh test labels are due: this test set can tell little more")
    return found
