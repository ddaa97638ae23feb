"""The section ``monitor``: what the service keeps of what passes through it, and what is found in that."""

from typing import Annotated

from pydantic import Field, model_validator

from pipeline.core.params.types import Count, Fraction, Name, Positive, Section


class Kept(Section):
    """How much the service keeps, and for how long."""

    vectors: bool
    rows_per_file: Annotated[int, Field(ge=1, le=1_000_000)]
    seconds_per_file: Annotated[float, Field(ge=0.1, le=86_400)]
    days: Positive
    megabytes: Count


class Misuse(Section):
    """From when on the texts of one key are a finding."""

    near_copies: Fraction
    near_copy_cosine: Fraction
    near_border: Fraction
    border_margin: Fraction
    flood_texts: Count
    flood_factor: Annotated[float, Field(ge=1)]


class Monitor(Section):
    """What is kept of traffic, over which window it is compared with the training, and from when on it is a finding."""

    path: Name | None
    keep: Kept
    every_minutes: Annotated[float, Field(ge=0, le=1_440)]
    hours: Annotated[float, Field(gt=0, le=8_760)]
    max_rows: Annotated[int, Field(ge=100, le=100_000_000)]
    max_accuracy_drop: Fraction | None
    max_abstained: Fraction | None
    interval: Annotated[float, Field(gt=0, lt=1)]
    misuse: Misuse
    end_after: Annotated[int, Field(ge=1, le=100)]

    @model_validator(mode="after")
    def check_kept(self) -> "Monitor":
        """Raises ValueError if files are removed before the window has passed, or if nothing is there to look at."""
        if self.hours > 24 * self.keep.days:
            raise ValueError(
                f"hours: expected at most 24 times keep.days, {24 * self.keep.days:g}, found {self.hours:g}"
            )
        if self.every_minutes and self.path is None:
            raise ValueError("path: expected a folder where every_minutes is above 0, found null")
        return self
