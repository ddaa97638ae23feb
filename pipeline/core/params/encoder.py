"""The section ``encoder``: which pretrained encoder everything starts from."""

from typing import Literal

from pydantic import model_validator

from pipeline.core.params.types import Count, Name, Section, Sha256


class Encoder(Section):
    """The pretrained encoder. It is a separate section because several stages read it."""

    source: Literal["package", "hub", "path"]
    name: Name
    revision: str | None
    sha256: Sha256 | None
    pooling: Literal["mean", "cls"]
    max_length: Count
    batch_size: Count
    runtime: Literal["auto", "torch", "openvino", "onnxruntime"]
    precision: Literal["auto", "float32", "bfloat16"]

    @model_validator(mode="after")
    def check_revision(self) -> "Encoder":
        """Raises ValueError if the encoder comes from the hub without a commit hash."""
        if self.source == "hub" and not self.revision:
            raise ValueError("revision: expected the commit hash to load from the hub, found none; pin one")
        return self
