"""The verdict on a challenger: promotion.json, stored with its version.

The fields of the dataclasses are the keys of that file, except for those in `STORED_NAMES`: verdicts of versions that
were registered before must stay readable. Numbers are plain JSON numbers, shares from 0 to 1 unless it says otherwise.
The file holds no text of a row.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import TypeAdapter

from pipeline.policies.promotion.comparison import Agreement, LeadInterval
from pipeline.policies.promotion.groups import GapComparison

PromotionStatus = Literal["promote", "refuse", "insufficient"]
STORED_NAMES = {"test_set_reuse": "wear"}  # field of PromotionVerdict: its key in promotion.json


@dataclass(frozen=True)
class ComparedModel:
    """Champion or challenger: a registered version, its MLflow run, and the SHA-256 of its bundle's manifest."""

    version: str
    run: str
    manifest: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class ComparedRows:
    """The test rows: those of the challenger's recorded lineage.

    The champion was trained or tuned on ``left_out`` of them (the same id, source id or text), which would flatter it.
    None means that its training rows are not available, so that none could be left out.
    """

    md5: str  # of data/ingest/test.parquet, from the challenger's dvc.lock
    digest: str  # SHA-256 of ids and labels
    total: int
    compared: int
    left_out: int | None
    unknown_to_champion: int  # compared rows of a class that the champion does not know: wrong for it


@dataclass(frozen=True)
class ClassScores:
    """A class that occurs as a true label or an answer, with the F1 of both models."""

    name: str
    rows: int
    champion_f1: float
    challenger_f1: float


@dataclass(frozen=True)
class TestSetReuse:
    """How far a test set is used up; `reuse_of_test_set` measures it."""

    judgement: int  # this one is the k-th on these test rows
    max_judgements: int
    level: float  # probability that a bound is wrong, each by itself; alpha / (k (k + 1)), alpha = 1 - confidence
    detectable: float  # the smallest true lead over the margin that would be shown, 4 times out of 5
    next_detectable: float  # the same at the next judgement's level
    rows_needed: int | None  # about so many would show the measured lead over the margin; None: there is none to show
    fresh_labels_due: bool


@dataclass(frozen=True)
class PromotionVerdict:
    """Whether a challenger takes the champion's place, with everything that the decision rests on.

    ``reasons`` holds a line for each rule, which starts with the rule's status: pass, fail, insufficient, off or not
    applicable. ``status`` is refuse with any fail, else insufficient with any of those, else promote.
    """

    status: PromotionStatus
    reasons: tuple[str, ...]
    model: str  # its name in the registry
    champion: ComparedModel
    challenger: ComparedModel
    metric: Literal["accuracy", "macro_f1"]  # the one that decides
    margin: float
    rows: ComparedRows
    scores: dict[str, LeadInterval]  # accuracy and macro_f1
    agreement: Agreement
    classes: tuple[ClassScores, ...]
    gaps: tuple[GapComparison, ...]  # one for each group attribute
    test_set_reuse: TestSetReuse
    limits: dict[str, Any]  # values of the sections gate, promotion and fairness that were in force
    layout: int = 1  # of this file

    @property
    def lead(self) -> LeadInterval:
        """The challenger's lead in the metric that decides."""
        return self.scores[self.metric]


def to_json(verdict: PromotionVerdict) -> dict[str, Any]:
    """The content of promotion.json."""
    return {STORED_NAMES.get(field, field): value for field, value in asdict(verdict).items()}


def from_json(content: Any) -> PromotionVerdict:
    """The verdict from the content of promotion.json. Raises pydantic's ValidationError if it has another layout."""
    if isinstance(content, dict):
        fields = {stored: field for field, stored in STORED_NAMES.items()}
        content = {fields.get(key, key): value for key, value in content.items()}
    return TypeAdapter(PromotionVerdict).validate_python(content)
