"""The section ``serve``: where `gleaner serve` listens, how it batches, and what it refuses."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.core.params.types import Count, Fraction, Name, Natural, NotNegative, Positive, Section


class Batch(Section):
    """How texts of several requests are computed together."""

    tokens: Annotated[int, Field(ge=64, le=1_000_000)]
    wait_ms: Annotated[float, Field(ge=0, le=100)]
    queue_texts: Count


class ServeLimits(Section):
    """What one request and one key may ask for."""

    body_bytes: Annotated[int, Field(ge=1_000, le=1_000_000_000)]
    texts: Count
    text_characters: Count
    explained_texts: Annotated[int, Field(ge=1, le=100)]
    requests_per_second: Positive
    burst: Count
    timeout_seconds: Annotated[float, Field(gt=0, le=600)]


class Shadow(Section):
    """A version that answers beside the served one, for comparison only."""

    version: Name | None
    share: Fraction


class Replicas(Section):
    """How many replicas a cluster runs: as many as keep each at ``requests`` at a time."""

    least: Annotated[int, Field(ge=1, le=1_000)]
    most: Annotated[int, Field(ge=1, le=1_000)]
    requests: Positive
    up_seconds: NotNegative
    down_seconds: NotNegative

    @model_validator(mode="after")
    def check_order(self) -> "Replicas":
        """Raises ValueError if the least number is above the largest."""
        if self.least > self.most:
            raise ValueError(f"most: expected at least {self.least}, as many as least, found {self.most}")
        return self


class Serve(Section):
    """Where the service listens, how it follows the champion, and its limits."""

    engine: Literal["local", "ray"]
    host: Name
    port: Annotated[int, Field(ge=0, le=65_535)]
    workers: Annotated[int, Field(ge=1, le=64)]
    threads: Annotated[int, Field(ge=1, le=1024)] | None
    replicas: Replicas
    follow_seconds: Annotated[float, Field(ge=0.1, le=3600)]
    drain_seconds: NotNegative
    kept_texts: Natural
    mask_pii: bool
    batch: Batch
    limits: ServeLimits
    shadow: Shadow

    @model_validator(mode="after")
    def check_queue(self) -> "Serve":
        """Raises ValueError if one allowed request could never enter the queue."""
        if self.limits.texts > self.batch.queue_texts:
            raise ValueError(
                f"batch.queue_texts: expected at least limits.texts, {self.limits.texts}, found "
                f"{self.batch.queue_texts}"
            )
        return self
