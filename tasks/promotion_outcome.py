"""The outcome of a promotion as data, with the message that people read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.policies.promotion import PromotionVerdict, approval
from pipeline.policies.promotion.entry import AWAITING, Entry
from pipeline.policies.promotion.ledger import Ledger
from tasks.compare import Pair

PromotionOutcome = Literal["promoted", "waiting", "refused", "insufficient", "lost"]
OUTCOME_BY_ACTION: dict[str, PromotionOutcome] = {
    "promote": "promoted",
    AWAITING: "waiting",
    "refuse": "refused",
    "insufficient": "insufficient",
}


@dataclass(frozen=True)
class Promotion:
    """The outcome for a challenger. ``champion`` is the version that is champion now; None while there is none."""

    outcome: PromotionOutcome
    model: str
    version: str
    champion: str | None
    message: str  # one line
    entry: int | None  # of the promotion log
    verdict: PromotionVerdict | None
    notes: tuple[str, ...] = ()
    reused: bool = False  # the verdict was stored before, for the same pair, rows and params
    page: Path | None = None  # the comparison as HTML

    @property
    def exit_code(self) -> int:
        """0 if promoted; 1 if it waits for approval, is refused, cannot be decided, or another promotion was first."""
        return 0 if self.outcome == "promoted" else 1


def to_promotion(pair: Pair, entered: Entry, ledger: Ledger, verdict: PromotionVerdict) -> Promotion:
    """The outcome of a verdict that no other promotion or rollback overtook."""
    outcome, number, champion = OUTCOME_BY_ACTION[entered.action], pair.challenger.number, ledger.champion
    message = f"{outcome.capitalize()}: version {champion} stays champion; {entered.reason}"
    if outcome == "promoted":
        message = f"Promoted: {pair.challenger.title} is champion, after version {pair.champion.number}"
    elif outcome == "waiting":
        message = f"Waiting: {approval.describe_request(entered)}; version {champion} stays champion until then"
    return Promotion(outcome, pair.model, number, champion, message, entered.number, verdict, pair.notes)


def to_lost_promotion(pair: Pair, ledger: Ledger, entered: Entry | None, verdict: PromotionVerdict | None) -> Promotion:
    """The outcome if another promotion or a rollback was first, or if the champion is gone."""
    last, number = ledger.periods[-1], pair.challenger.number
    change = last.removal or last.entry
    event = "was removed" if last.removal else "became champion"
    way_on = "see `gleaner history`" if last.removal else "run again to challenge that one"
    message = (
        f"Lost: version {number} was to follow version {pair.champion.number}, but meanwhile version {change.version} "
        f"{event} (entry {change.number}: {change.action}); {way_on}"
    )
    entry_number = entered.number if entered else None
    return Promotion("lost", pair.model, number, ledger.champion, message, entry_number, verdict, pair.notes)
