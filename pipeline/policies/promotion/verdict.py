"""The verdict on a challenger: promotion.json, stored with its version.

Every number is a plain JSON number, a share from 0 to 1 unless it says otherwise; no text of a row is in here.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import TypeAdapter

from pipeline.policies.promotion.comparison import Agreement, Interval
from pipeline.policies.promotion.groups import Gap

Status = Literal["promote", "refuse", "insufficient"]


@dataclass(frozen=True)
class Model:
    """One of the two: a registered version, its MLflow run, and the SHA-256 of its bundle's manifest."""

    version: str
    run: str
    manifest: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Rows:
    """The test rows: those of the challenger's own recorded lineage.

    ``left_out`` of them the champion was trained or tuned on (by id, source id or equal text), so that they would
    flatter it; None: its training rows could not be had, and nothing could be left out.
    """

    md5: str  # of data/ingest/test.parquet, as its dvc.lock has it
    digest: str  # SHA-256 of ids and labels
    total: int
    compared: int
    left_out: int | None
    unknown_to_champion: int  # compared rows of a class that the champion does not know: wrong for it


@dataclass(frozen=True)
class Class:
    """One class that occurs as a true label or an answer; F1 of either model."""

    name: str
    rows: int
    champion_f1: float
    challenger_f1: float


@dataclass(frozen=True)
class Wear:
    """What is left of the test set: see `wear`."""

    judgement: int  # this one is the k-th on these test rows
    max_judgements: int
    level: float  # chance that a bound is wrong, each by itself; alpha / (k (k + 1)), alpha = 1 - promotion.confidence
    detectable: float  # the smallest true lead over the margin that would be shown, 4 times out of 5
    next_detectable: float  # the same at the next judgement's level
    rows_needed: int | None  # about so many would show the measured lead over the margin; None: there is none to show
    fresh_labels_due: bool


@dataclass(frozen=True)
class Verdict:
    """Whether a challenger takes the champion's place, with all that the decision rests on.

    ``reasons`` holds a line for each rule, which begins with the rule's own status: pass, fail, insufficient, off or
    not applicable. ``status`` is refuse with any fail, else insufficient with any of those, else promote.
    """

    status: Status
    reasons: tuple[str, ...]
    model: str  # its name in the registry
    champion: Model
    challenger: Model
    metric: Literal["accuracy", "macro_f1"]  # the one that decides
    margin: float
    rows: Rows
    scores: dict[str, Interval]  # accuracy and macro_f1
    agreement: Agreement
    classes: tuple[Class, ...]
    gaps: tuple[Gap, ...]  # one for each group attribute
    wear: Wear
    limits: dict[str, Any]  # values of the sections gate and fairness that were in force
    layout: int = 1  # of this file

    @property
    def lead(self) -> Interval:
        """The metric that decides."""
        return self.scores[self.metric]


def to_json(verdict: Verdict) -> dict[str, Any]:
    """The content of promotion.json."""
    return asdict(verdict)


def from_json(content: Any) -> Verdict:
    """The verdict from promotion.json; ValidationError of pydantic when it has another layout."""
    return TypeAdapter(Verdict).validate_python(content)
