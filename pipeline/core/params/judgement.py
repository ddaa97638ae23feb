"""Sections of what comes after training: export, evaluate, fairness, report, the gate, promotion and the registry."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.core.params.types import Count, Fraction, Name, Natural, Positive, Section, Seed


class Export(Section):
    int8: bool
    serve: Literal["float32", "int8"]
    tolerance: Positive

    @model_validator(mode="after")
    def served_is_built(self) -> "Export":
        if self.serve == "int8" and not self.int8:
            raise ValueError("serve: expected float32 while export.int8 is false, found int8")
        return self


class Evaluate(Section):
    bootstrap: Annotated[int, Field(ge=100)]
    interval: Annotated[float, Field(gt=0, lt=1)]
    baseline_inverse_l2: Positive
    seed: Seed


class Fairness(Section):
    min_group_size: Count
    auc_class: str | None
    bootstrap: Annotated[int, Field(ge=100)]
    interval: Annotated[float, Field(gt=0, lt=1)]
    seed: Seed


class Report(Section):
    title: Name
    examples: Natural


class Gate(Section):
    """Limits on a candidate; null switches one off."""

    min_test_rows: Count
    min_accuracy: Fraction | None
    min_macro_f1: Fraction | None
    min_gain_over_probe: Annotated[float, Field(ge=-1, le=1)] | None
    max_calibration_error: Fraction | None
    max_group_gap: Fraction | None
    max_flip_rate: Fraction | None


class Promotion(Section):
    """Limits on a challenger beside its champion; null switches one off."""

    metric: Literal["accuracy", "macro_f1"]
    margin: Fraction
    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    bootstrap: Annotated[int, Field(ge=1000)]
    max_gap_increase: Fraction | None
    max_judgements: Annotated[int, Field(ge=1, le=100)]
    max_detectable: Fraction | None
    same_test_rows: Annotated[float, Field(gt=0, le=1)]
    seed: Seed


class Registry(Section):
    model: Name
    experiment: Name
    push: bool
    require_clean: bool
