"""Sections of the encoder and of the stages that train: pretrain, pseudo_label and finetune."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.core.params.types import Count, Fraction, Name, NotNegative, Positive, Section, Seed, Sha256


class Encoder(Section):
    """Which pretrained encoder everything starts from; a key of its own because several stages read it."""

    source: Literal["package", "hub", "path"]
    name: Name
    revision: str | None
    sha256: Sha256 | None
    pooling: Literal["mean", "cls"]
    max_length: Count
    batch_size: Count
    precision: Literal["float32", "bfloat16"]

    @model_validator(mode="after")
    def pinned(self) -> "Encoder":
        if self.source == "hub" and not self.revision:
            raise ValueError("revision: expected the commit hash to load from the hub, found none; pin one")
        return self


class Scratch(Section):
    """Size of an encoder trained from nothing."""

    vocabulary: Annotated[int, Field(ge=300)]  # the 256 bytes and the special tokens are a part of it
    hidden: Count
    layers: Count
    heads: Count

    @model_validator(mode="after")
    def divides(self) -> "Scratch":
        if self.hidden % self.heads:
            raise ValueError(f"hidden: expected a multiple of heads ({self.heads}), found {self.hidden}")
        return self


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


class Pretrain(Training):
    objective: Literal["none", "mlm", "simcse"]
    from_scratch: bool
    scratch: Scratch
    max_rows: Count | None
    mask_probability: Annotated[float, Field(gt=0, lt=1)]
    temperature: Positive
    dropout: Annotated[float, Field(ge=0, lt=1)]

    @model_validator(mode="after")
    def scratch_needs_an_objective(self) -> "Pretrain":
        if self.from_scratch and self.objective == "none":
            raise ValueError('objective: expected "mlm" or "simcse" with from_scratch, found "none"')
        return self


class Supervised(Training):
    """Training of the classifier on labelled rows; ``lr`` is the encoder's."""

    head_lr: Positive
    dropout: Annotated[float, Field(ge=0, lt=1)]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]


class WordsView(Section):
    """The teacher's second view; an empty ``mix_weights`` switches it off."""

    mix_weights: list[Annotated[float, Field(gt=0, lt=1)]]
    inverse_l2: Positive
    naive_bayes_alpha: Positive


class PseudoLabel(Section):
    teacher: Literal["none", "probe", "latent", "finetuned"]
    latent: Count
    rounds: Count
    inverse_l2: Positive
    gold_weight: Positive
    class_names: bool
    class_name_weight: NotNegative
    names_first: bool
    first_share: Fraction
    last_share: Fraction
    teacher_reliability: Fraction
    words: WordsView
    spread: Literal["graph", "clusters", "none"]
    neighbours: Count
    whiten_last_graph: bool
    clusters: Count
    spread_alpha: Annotated[float, Field(ge=0, lt=1)]
    min_confidence: Fraction
    min_agreement: Fraction
    weight: NotNegative
    folds: Annotated[int, Field(ge=2)]
    seed: Seed
    finetuned: Supervised


class Peft(Section):
    """Sizes of what learns instead of the encoder: rank, alpha and dropout of lora and adalora, the others' own."""

    rank: Count
    alpha: Count
    dropout: Annotated[float, Field(ge=0, lt=1)]
    prefix_tokens: Count
    width: Count


class Finetune(Supervised):
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
    def fits_together(self) -> "Finetune":
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
