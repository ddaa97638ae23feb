"""The section ``ingest``: where the rows come from, and how they are cleaned, joined and split."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.core.params.types import Count, Fraction, Name, Names, Natural, Section, Seed


class Columns(Section):
    """Which columns of the source hold what."""

    text: Annotated[Names, Field(min_length=1)]
    label: str | None
    split: str | None
    groups: dict[Name, Name]


class LabelRules(Section):
    """What to do with the labels of the source: missing ones first, then rename, then drop."""

    rename: dict[str, Name]
    drop: list[str]
    missing: list[str]
    keep: list[str]
    descriptions: dict[str, str]


class GroupRules(Section):
    """What to do with the values of the group attributes of the source."""

    rename: dict[Name, dict[str, str]]
    missing: dict[Name, list[str]]
    keep: dict[Name, list[str]]


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


class Presidio(Section):
    """What Presidio masks besides, and by which spaCy pipeline; no entities: it is not used."""

    entities: Names
    model: Name | None
    language: Name
    min_score: Fraction


class Ingest(Section):
    """Where the rows come from, and how they become the tables of the other stages."""

    source: Literal["files", "sql", "huggingface"]
    path: Name
    url: str | None
    revision: str | None
    train: Names
    validation: Names
    test: Names
    unlabelled: Names
    arrivals: Name
    format: Literal["auto", "csv", "tsv", "jsonl", "parquet", "label_studio"]
    encoding: str | None
    delimiter: str | None
    columns: Columns
    join: str
    labels: LabelRules
    group_values: GroupRules
    doubts: Literal["stop", "warn"]
    max_doubtful_share: Annotated[float, Field(ge=0, le=1)]
    max_rejected_share: Annotated[float, Field(ge=0, le=1)]
    group_bins: dict[Name, Annotated[list[float], Field(min_length=1)]]
    max_chars: Count
    mask_pii: bool
    phone_region: str | None
    presidio: Presidio
    duplicates: Duplicates
    split: Split
    labels_per_class: Natural | None
    unlabelled_limit: Natural | None
    seed: Seed

    @model_validator(mode="after")
    def check_delimiter(self) -> "Ingest":
        """Raises ValueError if the delimiter is more than one character, or one that cannot stand between cells."""
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise ValueError(
                f"delimiter: expected one character that is no quote or line break, found {self.delimiter!r}; correct "
                "it, or set it to null"
            )
        return self

    @model_validator(mode="after")
    def check_presidio(self) -> "Ingest":
        """Raises ValueError if Presidio has something to mask where nothing is masked."""
        if self.presidio.entities and not self.mask_pii:
            raise ValueError(
                f"presidio.entities: expected [] where mask_pii is false, found {', '.join(self.presidio.entities)}; "
                "set mask_pii: true, or leave them out"
            )
        return self

    @model_validator(mode="after")
    def check_source(self) -> "Ingest":
        """Raises ValueError if the source has no name, or nothing in it is named as training data."""
        if self.source != "files" and not self.url:
            raise ValueError(f"url: expected a database URL or dataset name for source {self.source}, found none")
        if not (self.train or self.columns.split):
            raise ValueError("train: expected at least one file, query or split name, found an empty list")
        return self
