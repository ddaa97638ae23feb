"""The sections ``export``, ``evaluate`` and ``report``: the model as it ships, measured and shown."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.core.params.types import Name, Natural, Positive, Resamples, Section, Seed


class Export(Section):
    """Which simpler models may ship, which ONNX models are made, and which of them is served."""

    candidates: list[Literal["probe", "teacher_head"]]
    int8: bool
    serve: Literal["float32", "bfloat16", "int8"]
    runtime: Literal["auto", "openvino", "onnxruntime"]
    tolerance: Positive

    @model_validator(mode="after")
    def check_served_model(self) -> "Export":
        """Raises ValueError if the model to be served is not made."""
        if self.serve == "int8" and not self.int8:
            raise ValueError("serve: expected float32 or bfloat16 while export.int8 is false, found int8")
        return self


class Evaluate(Section):
    """How the served model is measured on the test rows, beside its baselines."""

    bootstrap: Resamples
    interval: Annotated[float, Field(gt=0, lt=1)]
    baseline_inverse_l2: Positive
    seed: Seed


class Report(Section):
    """Heading of the report, and how many examples it shows."""

    title: Name
    examples: Natural
