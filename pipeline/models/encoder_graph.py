"""The encoder as an ONNX graph: exported once, checked against torch, and kept in data/scratch by what it is made of.

OpenVINO computes vectors with it, and the bundle's model is this graph with a head. torch and transformers are imported
only to make it: an encoder whose graph is there is ready in half a second.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.core.digests import concatenation_sha256
from pipeline.core.errors import UserError
from pipeline.core.params import Encoder
from pipeline.core.stage import Paths, read_json, waiting, write_atomically, write_json
from pipeline.models import encoder as encoders
from pipeline.models.onnx_export import export_onnx
from pipeline.models.onnx_file import VECTORS
from pipeline.models.onnx_model import open_model
from pipeline.models.openvino_package import cpu_precisions
from pipeline.models.runtime import Batch, Choice, is_installed

if TYPE_CHECKING:
    import torch

# A graph depends on the libraries that export it; another version of one of them exports anew.
EXPORTERS = ("torch", "transformers", "onnx", "onnxscript")
BATCH_SIZES = (1, 2, 7, 32)  # of the check: 1 has no padding, 2 the most, 7 is no power of two, 32 is what is served
LIMITS = {"float32": 1e-4, "bfloat16": 1e-2}  # of what `check_against_torch` measures; found: 1e-7 and 1e-4
REFERENCE = "reference.npz"
Loader = Callable[[], tuple["torch.nn.Module", Any]]


@dataclass(frozen=True)
class EncoderGraph:
    """The folder of an exported encoder: ``encoder.onnx``, ``tokenizer.json``, ``about.json`` and the reference."""

    folder: Path

    @property
    def model(self) -> Path:
        """The ONNX file: token ids and mask in, unit vectors out."""
        return self.folder / "encoder.onnx"

    @property
    def tokenizer(self) -> Path:
        """The tokenizer as transformers built it, for the library tokenizers."""
        return self.folder / "tokenizer.json"

    @property
    def about(self) -> dict[str, Any]:
        """``pad_id``, ``special_ids``, ``tokens`` of the vocabulary, and ``distance_to_torch``."""
        about: dict[str, Any] = read_json(self.folder / "about.json")
        return about

    def reference(self) -> list[tuple[Batch, np.ndarray]]:
        """The batches of the check, each with torch's unit vectors in float32, (rows, width)."""
        with np.load(self.folder / REFERENCE) as arrays:
            return [((arrays[f"ids{rows}"], arrays[f"mask{rows}"]), arrays[f"vectors{rows}"]) for rows in BATCH_SIZES]


def find_or_export(folder: Path, encoder: Encoder, paths: Paths) -> EncoderGraph:
    """The graph of the encoder in ``folder``, with the pooling and length that ``encoder`` names.

    Raises UserError if its vectors differ from torch's.
    """

    def load() -> tuple["torch.nn.Module", Any]:
        import torch

        model, tokenizer = encoders.load(folder, dtype=torch.float32)
        return pooled(model, encoder.pooling), tokenizer

    return find_or_make(folder, encoder.pooling, encoder.max_length, load, paths)


def find_or_make(
    folder: Path, pooling: str, max_length: int, load: Loader, paths: Paths, adapters: Sequence[Path] = ()
) -> EncoderGraph:
    """The graph of the encoder in ``folder`` with the weights in ``adapters``, checked on up to ``max_length`` tokens.

    Where it is not there, ``load`` returns the torch module that gives unit vectors, and its tokenizer. Raises
    UserError if the vectors of ONNX differ from torch's.
    """
    files = [*sorted(folder.glob("*.safetensors")), folder / "config.json", *adapters]
    libraries = [f"{name} {version(name)}" for name in EXPORTERS]
    tokenizer = encoders.tokenizer_digest(folder)
    made_of = (concatenation_sha256(files), tokenizer, pooling, max_length, *libraries)
    key = hashlib.sha256(repr(made_of).encode()).hexdigest()[:16]
    graph = EncoderGraph(paths.scratch("embeddings") / f"graph-{key}")
    if not graph.folder.is_dir():
        with waiting("encoder: export to ONNX"):
            write_atomically(graph.folder, lambda part: write_graph(part, max_length, *load()))
    return graph


def pooled(model: Any, pooling: str) -> "torch.nn.Module":
    """The torch module of an encoder ``model`` that gives unit vectors, (rows, width), float32, as params pool them."""
    import torch

    class Pooled(torch.nn.Module):
        """Token vectors of the encoder, pooled."""

        def __init__(self) -> None:
            super().__init__()
            self.encoder = model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            """Unit vectors (rows, width), float32, of ids and mask, (rows, tokens), int64."""
            hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            return encoders.pool(hidden.float(), attention_mask, pooling)

    return Pooled().eval()


def write_graph(folder: Path, max_length: int, module: "torch.nn.Module", tokenizer: Any) -> None:
    """Write the files of a graph. Raises UserError if the vectors of ONNX differ from those of the torch module."""
    import torch

    folder.mkdir()
    graph = EncoderGraph(folder)
    export_onnx(module, graph.model, VECTORS)
    backend = tokenizer.backend_tokenizer
    backend.no_padding()
    backend.no_truncation()
    backend.save(str(graph.tokenizer))
    pad_id = tokenizer.pad_token_id or 0
    arrays: dict[str, Any] = {}
    for rows in BATCH_SIZES:
        ids, mask = draw_batch(rows, len(tokenizer), pad_id, max_length)
        with torch.inference_mode():
            vectors = module(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).numpy()
        arrays |= {f"ids{rows}": ids, f"mask{rows}": mask, f"vectors{rows}": vectors}
    np.savez(folder / REFERENCE, **arrays)
    about = {"pad_id": pad_id, "special_ids": sorted(tokenizer.all_special_ids), "tokens": len(tokenizer)}
    write_json(about | {"distance_to_torch": check_against_torch(graph)}, folder / "about.json")


def draw_batch(rows: int, tokens: int, pad_id: int, max_length: int) -> Batch:
    """Random ids below ``tokens`` with their mask, both (rows, up to ``max_length``), int64, from short to full."""
    rng = np.random.default_rng(rows)
    longest = max_length if rows < max(BATCH_SIZES) else max(2, max_length // 4)  # the widest batch is a short one
    lengths = np.linspace(min(2, longest), longest, rows).astype(int)
    ids = np.full((rows, int(lengths.max())), pad_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    usable = np.setdiff1d(np.arange(tokens), [pad_id])
    for row, length in enumerate(lengths):
        ids[row, :length] = rng.choice(usable, length)
        mask[row, :length] = 1
    return ids, mask


def check_against_torch(graph: EncoderGraph) -> dict[str, float]:
    """How far the graph's vectors are from torch's, by runtime and precision as this machine can compute them.

    In float32 that is the largest difference of a number, otherwise 1 less the smallest cosine. Raises UserError where
    it is above the limit.
    """
    batches, expected = zip(*graph.reference(), strict=True)
    torchs = np.concatenate(expected)
    distances = {}
    for choice in possible_choices():
        ours = np.concatenate(list(open_model(graph.model, choice, VECTORS).run(batches)))
        cosines, difference = (ours * torchs).sum(axis=1), np.abs(ours - torchs).max()
        distance = float(difference if choice.precision == "float32" else 1 - cosines.min())
        limit = LIMITS[choice.precision]
        if not distance <= limit:  # a NaN is no agreement either
            raise UserError(
                f"encoder.name: expected an encoder whose vectors by {choice} are within {limit:g} of torch's, found "
                f"{distance:.2g}; choose an encoder of another architecture"
            )
        distances[str(choice)] = distance
    return distances


def possible_choices() -> list[Choice]:
    """Every runtime and precision in which this machine can compute an ONNX file of float32."""
    openvino = [Choice("openvino", precision) for precision in cpu_precisions()] if is_installed("openvino") else []
    return [Choice("onnxruntime", "float32"), *openvino]
