"""The section ``explain``: how predictions are explained, and how the explanations are measured."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.core.params.types import Count, Natural, Resamples, Section, Seed


class EmbeddingMap(Section):
    """How many points the map of the vectors has at most, and how t-SNE lays them out."""

    points: Annotated[int, Field(ge=10, le=5000)]
    perplexity: Annotated[float, Field(gt=1)]
    iterations: Annotated[int, Field(ge=250)]


class Explain(Section):
    """Which methods explain predictions, on which rows, and with how much effort."""

    methods: Annotated[list[Literal["integrated_gradients", "rollout", "lime"]], Field(min_length=1)]
    errors: Natural
    sample: Annotated[int, Field(ge=2)]
    steps: Annotated[int, Field(ge=2)]
    baseline: Literal["mask", "pad"]
    lime_samples: Annotated[int, Field(ge=10)]
    shares: Annotated[list[Annotated[float, Field(gt=0, lt=1)]], Field(min_length=1)]
    random_rankings: Count
    neighbours: Count
    class_words: Count
    map: EmbeddingMap
    bootstrap: Resamples
    interval: Annotated[float, Field(gt=0, lt=1)]
    seed: Seed
