"""The section ``finetune``: how the classifier that ships is trained."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.core.params.training import Supervised
from pipeline.core.params.types import Count, NotNegative, Positive, Section


class Peft(Section):
    """Sizes of what learns instead of the encoder.

    ``rank``, ``alpha`` and ``dropout`` are of lora and adalora, ``prefix_tokens`` of prefix, ``width`` of bottleneck.
    """

    rank: Count
    alpha: Count
    dropout: Annotated[float, Field(ge=0, lt=1)]
    prefix_tokens: Count
    width: Count


class Finetune(Supervised):
    """How the classifier is trained; the method ``teacher_head`` trains nothing and ships the teacher's heads."""

    method: Literal["teacher_head", "head", "full", "lora", "adalora", "prefix", "bottleneck"]
    peft: Peft
    start: Literal["probe", "random"]
    adversarial: NotNegative
    joint_weight: Positive | None
    mask_probability: Annotated[float, Field(gt=0, lt=1)]
    students: Count
    patience: Count
    evaluate_steps: Count

    @model_validator(mode="after")
    def check_combinations(self) -> "Finetune":
        """Raises ValueError if two keys contradict each other."""
        if self.compile and self.adversarial:
            raise ValueError("compile: expected false with adversarial above 0, found true; set one of them off")
        if self.method == "head" and self.start == "probe":
            raise ValueError(
                "method: expected teacher_head to ship the teacher's heads as they are, or start random to train the "
                "head alone, found head with start probe; that pair was renamed to finetune.method teacher_head"
            )
        if self.method in ("teacher_head", "head") and self.joint_weight is not None:
            raise ValueError(
                f"joint_weight: expected null with method {self.method}, whose encoder learns nothing, "
                f"found {self.joint_weight}"
            )
        if self.method == "teacher_head" and self.students > 1:
            raise ValueError(
                f"students: expected 1 with method teacher_head, which takes no step, found {self.students}"
            )
        return self
