"""The section ``pseudo_label``: how a teacher labels the pool in rounds."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.core.params.training import Supervised
from pipeline.core.params.types import Count, Fraction, NotNegative, Positive, Section, Seed


class WordsView(Section):
    """The teacher's second view; an empty ``mix_weights`` switches it off."""

    mix_weights: list[Annotated[float, Field(gt=0, lt=1)]]
    inverse_l2: Positive
    naive_bayes_alpha: Positive


class PseudoLabel(Section):
    """Which teacher labels the pool, and which of its labels are accepted; the teacher ``none`` switches it off."""

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
