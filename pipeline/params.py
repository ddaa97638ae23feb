"""params.yaml as strict models, one per stage: no defaults here, so that the file holds every value.

All faults are reported at once, by the path that the user typed:
``finetune.lr: expected a number above 0, found "fast"``.
"""

from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.errors import UserError, many
from pipeline.faults import describe, found

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Name = Annotated[str, Field(min_length=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


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


class Columns(Section):
    """Which columns of the source hold what."""

    text: Annotated[list[Name], Field(min_length=1)]
    label: str | None
    split: str | None
    groups: dict[Name, Name]


class LabelRules(Section):
    """What to do with the labels of the source: rename first, then drop."""

    rename: dict[str, str]
    drop: list[str]
    descriptions: dict[str, str]


class Duplicates(Section):
    """MinHash near-duplicates: the Jaccard similarity of character shingles from which two rows are one."""

    threshold: Annotated[float, Field(gt=0, le=1)]
    shingle: Count
    permutations: Annotated[int, Field(ge=16, le=512)]


class Split(Section):
    """How to draw the splits that the source does not give; a fraction of 0 draws none."""

    validation: Annotated[float, Field(ge=0, lt=1)]
    test: Annotated[float, Field(ge=0, lt=1)]
    stratify: bool


class Ingest(Section):
    source: Literal["files", "sql", "huggingface"]
    path: Name
    url: str | None
    revision: str | None
    train: list[Name]
    validation: list[Name]
    test: list[Name]
    unlabelled: list[Name]
    format: Literal["auto", "csv", "tsv", "jsonl", "parquet", "label_studio"]
    encoding: str | None
    delimiter: str | None
    columns: Columns
    join: str
    labels: LabelRules
    group_bins: dict[Name, Annotated[list[float], Field(min_length=1)]]
    max_chars: Count
    mask_pii: bool
    phone_region: str | None
    duplicates: Duplicates
    split: Split
    labels_per_class: Natural | None
    unlabelled_limit: Natural | None
    seed: Seed

    @model_validator(mode="after")
    def source_is_named(self) -> "Ingest":
        if self.source != "files" and not self.url:
            raise ValueError(f"url: expected a database URL or dataset name for source {self.source}, found none")
        if not (self.train or self.columns.split):
            raise ValueError("train: expected at least one file, query or split name, found an empty list")
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


class Synonyms(Section):
    variants: Natural
    share: Annotated[float, Field(gt=0, le=1)]
    weight: NotNegative
    seed: Seed


class BackTranslate(Section):
    engine: Literal["none", "apertium", "marian"]
    apertium: Annotated[list[Name], Field(min_length=2, max_length=2)]
    marian: Annotated[list[Name], Field(min_length=2, max_length=2)]
    marian_revisions: list[str]
    batch_size: Count
    max_ratio: Annotated[float, Field(gt=1)]
    weight: NotNegative


class Supervised(Training):
    """Training of the classifier on labelled rows; ``lr`` is the encoder's."""

    head_lr: Positive
    dropout: Annotated[float, Field(ge=0, lt=1)]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]


class WordsView(Section):
    """The teacher's second view; no ``parts`` switch it off."""

    parts: list[Annotated[float, Field(gt=0, lt=1)]]
    c: Positive
    smoothing: Positive


class PseudoLabel(Section):
    teacher: Literal["none", "probe", "finetuned"]
    rounds: Count
    c: Positive
    gold_weight: Positive
    class_names: bool
    class_name_weight: NotNegative
    first_share: Fraction
    last_share: Fraction
    trust: Fraction
    words: WordsView
    spread: Literal["graph", "clusters", "none"]
    neighbours: Count
    clusters: Count
    smoothing: Annotated[float, Field(ge=0, lt=1)]
    min_confidence: Fraction
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
    method: Literal["full", "head", "lora", "adalora", "prefix", "bottleneck"]
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
        if self.method == "head" and self.joint_weight is not None:
            raise ValueError(
                f"joint_weight: expected null with method head, whose encoder learns nothing, found {self.joint_weight}"
            )
        if self.method == "head" and self.start == "probe" and self.students > 1:
            raise ValueError(
                f"students: expected 1 with method head and start probe, which take no step, found {self.students}"
            )
        return self


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
    baseline_c: Positive
    seed: Seed


class Fairness(Section):
    min_group_size: Count
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


class Registry(Section):
    model: Name
    experiment: Name
    push: bool


class Params(Section):
    encoder: Encoder
    ingest: Ingest
    pretrain: Pretrain
    synonyms: Synonyms
    back_translate: BackTranslate
    pseudo_label: PseudoLabel
    finetune: Finetune
    export: Export
    evaluate: Evaluate
    fairness: Fairness
    report: Report
    gate: Gate
    registry: Registry


def load(path: Path) -> Params:
    """Read and check params.yaml; UserError lists every fault, one line each."""
    return validate(read_yaml(path))


def read_yaml(path: Path) -> Any:
    """YAML 1.2, as DVC reads it: ``1e-5`` is a number and ``no`` is a string."""
    try:
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: expected a YAML file, found none; run this from the project's root") from None
    except (YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        raise UserError(f"{path}{where}: expected valid YAML, found {getattr(error, 'problem', error)}") from None


def validate(content: Any) -> Params:
    """Check already loaded content; UserError lists every fault, one line each."""
    if not isinstance(content, dict):
        raise UserError(f"params.yaml: expected a section for each stage, found {found(content)}")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise many([describe(fault) for fault in error.errors()]) from None


def to_yaml(content: dict[str, Any]) -> str:
    """Plain data as YAML text."""
    out = StringIO()
    YAML().dump(content, out)
    return out.getvalue()
