"""The sections ``gate``, ``promotion`` and ``registry``: limits on a candidate and a challenger, and where they go."""

import json
import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.core.params.types import Count, Fraction, Name, Section, Seed

MAX_REGISTRY_NAME = 200
# MLflow refuses "/" and ":" in a model's name, but only once all stages ran; an experiment's name is a folder's, too.
REGISTRY_NAME = re.compile(rf"[^\W_][\w .()-]{{0,{MAX_REGISTRY_NAME - 1}}}(?<! )")


class Gate(Section):
    """Limits on a candidate for registration; null switches one off."""

    min_test_rows: Count
    min_accuracy: Fraction | None
    min_macro_f1: Fraction | None
    min_gain_over_probe: Annotated[float, Field(ge=-1, le=1)] | None
    max_calibration_error: Fraction | None
    min_coverage: Fraction | None
    max_out_of_scope_answered: Fraction | None
    max_group_gap: Fraction | None
    max_flip_rate: Fraction | None


class Promotion(Section):
    """Limits on a challenger beside its champion; null switches one off. And whether a person must approve it."""

    metric: Literal["accuracy", "macro_f1"]
    margin: Fraction
    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    bootstrap: Annotated[int, Field(ge=1000, le=1_000_000)]
    max_gap_increase: Fraction | None
    max_judgements: Annotated[int, Field(ge=1, le=100)]
    max_detectable: Fraction | None
    same_test_rows: Annotated[float, Field(gt=0, le=1)]
    seed: Seed
    approval: Literal["none", "required"]
    approval_days: Annotated[float, Field(gt=0, le=3650)]


class Registry(Section):
    """Where versions are registered, and what is kept with them."""

    model: Name
    experiment: Name
    push: bool
    require_clean: bool

    @model_validator(mode="after")
    def check_names(self) -> "Registry":
        """Raises ValueError if MLflow cannot take a name, or if it would lead out of the folder of the artifacts."""
        for key, name in (("model", self.model), ("experiment", self.experiment)):
            if not REGISTRY_NAME.fullmatch(name):
                raise ValueError(
                    f"{key}: expected a name of letters, digits, spaces and . _ - ( ) that begins with a letter or a "
                    f"digit, at most {MAX_REGISTRY_NAME} characters, found {json.dumps(name[:60], ensure_ascii=False)}"
                )
        return self
