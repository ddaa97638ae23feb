"""A model as finetune writes it, made of an encoder that stays as it is and of heads: without torch."""

from pathlib import Path

from pipeline.core.params import Encoder
from pipeline.core.stage import write_json
from pipeline.models import encoder as encoders
from pipeline.models.heads import Heads


def write_model(start: Path, heads: Heads, labels: list[str], encoder: Encoder, folder: Path) -> None:
    """Write the encoder in ``start`` with ``heads``, float32, ``weight`` (classes, width) and others, as a model."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True)
    encoders.copy_files(start, folder / "encoder")
    save_file(heads, folder / "head.safetensors")
    settings = {"pooling": encoder.pooling, "max_length": encoder.max_length}
    write_json({"labels": labels, **settings}, folder / "classifier.json")
