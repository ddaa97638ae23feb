"""What the sections of all trainings share: ``pretrain``, ``finetune`` and ``pseudo_label.finetuned``."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.core.params.types import Count, Fraction, NotNegative, Positive, Section, Seed


class Training(Section):
    """What every Trainer run needs, whatever it trains."""

    epochs: Positive
    max_steps: Count | None
    batch_size: Count
    gradient_accumulation: Count
    lr: Positive
    weight_decay: NotNegative
    warmup: Fraction
    precision: Literal["float32", "bfloat16"]
    compile: bool
    checkpoint_steps: Count
    trackers: list[Literal["tensorboard", "wandb"]]
    seed: Seed


class Supervised(Training):
    """Training of the classifier on labelled rows; ``lr`` is the encoder's."""

    head_lr: Positive
    dropout: Annotated[float, Field(ge=0, lt=1)]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
