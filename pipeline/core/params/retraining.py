"""Sections of what a scheduled night does: refresh, feedback, drift, retrain and notify."""

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.core.params.types import Count, Fraction, Name, Natural, NotNegative, Positive, Section, Seed


class Refresh(Section):
    inbox: Name | None
    commit: bool


class FeedbackColumns(Section):
    """Which columns of the corrections hold what."""

    text: Name
    label: Name
    version: Name


class Feedback(Section):
    path: Name | None
    url: str | None
    query: str | None
    columns: FeedbackColumns

    @model_validator(mode="after")
    def query_has_a_database(self) -> "Feedback":
        if (self.url is None) != (self.query is None):
            raise ValueError("query: expected both url and query, or neither, found one of them")
        return self


class Drift(Section):
    """A change is reported when it is significant and large; fewer rows than ``min_rows`` are insufficient."""

    min_rows: Annotated[int, Field(ge=10)]
    max_rows: Annotated[int, Field(ge=50)]
    alpha: Annotated[float, Field(gt=0, lt=1)]
    permutations: Annotated[int, Field(ge=200)]
    min_separation: Annotated[float, Field(ge=0.5, le=1)]
    min_shift: Fraction
    seed: Seed

    @model_validator(mode="after")
    def can_be_significant(self) -> "Drift":
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
    max_age_days: Positive | None
    retries: Natural
    retry_seconds: NotNegative


class Notify(Section):
    to: list[Name]
    on: list[Literal["promoted", "refused", "failed", "drift", "skipped"]]
