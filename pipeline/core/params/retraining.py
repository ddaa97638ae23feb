"""The sections of a scheduled night: ``refresh``, ``feedback``, ``drift``, ``retrain`` and ``notify``."""

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.core.params.types import Count, Fraction, Name, Natural, NotNegative, Positive, Section, Seed


class Refresh(Section):
    """Where new texts arrive, and whether a night commits what it took in."""

    inbox: Name | None
    commit: bool


class FeedbackColumns(Section):
    """Which columns of the corrections hold what."""

    text: Name
    label: Name
    version: Name


class Feedback(Section):
    """Where corrections of a model's answers arrive: in files, in a database, or in both."""

    path: Name | None
    url: str | None
    query: str | None
    columns: FeedbackColumns

    @model_validator(mode="after")
    def check_query(self) -> "Feedback":
        """Raises ValueError if there is a query without a database, or a database without a query."""
        if (self.url is None) != (self.query is None):
            raise ValueError("query: expected both url and query, or neither, found one of them")
        return self


class Drift(Section):
    """When a change of the arriving texts is drift: when it is significant and large.

    With fewer than ``min_rows`` rows the answer is "insufficient".
    """

    min_rows: Annotated[int, Field(ge=10)]
    max_rows: Annotated[int, Field(ge=50)]
    alpha: Annotated[float, Field(gt=0, lt=1)]
    permutations: Annotated[int, Field(ge=200, le=1_000_000)]
    min_separation: Annotated[float, Field(ge=0.5, le=1)]
    min_shift: Fraction
    seed: Seed

    @model_validator(mode="after")
    def check_permutations(self) -> "Drift":
        """Raises ValueError if so few permutations could never be significant at ``alpha``."""
        if self.permutations * self.alpha < 5:
            wanted = math.ceil(5 / self.alpha)
            raise ValueError(
                f"permutations: expected at least {wanted} for an alpha of {self.alpha:g}, found {self.permutations}"
            )
        return self


class Retrain(Section):
    """What justifies a training; null switches a criterion off."""

    min_new_labelled: Count | None
    min_new_rows: Count | None
    on_drift: bool
    on_traffic: bool
    max_age_days: Positive | None
    retries: Natural
    retry_seconds: NotNegative


class Notify(Section):
    """Who is notified of a night, and of which outcomes."""

    to: list[Name]
    on: list[Literal["promoted", "refused", "failed", "drift", "waiting", "skipped", "alert"]]
