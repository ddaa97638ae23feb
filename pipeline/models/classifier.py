"""The model bundle: seal it with digests, load it and predict, without importing torch or transformers.

A bundle is a folder: ``classifier.json``, ``tokenizer.json``, ``model.onnx`` (and ``model.int8.onnx``), the weights as
safetensors, and ``MANIFEST.json`` with the SHA-256 of every other file.
"""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.core.errors import UserError
from pipeline.core.stage import progress, read_json, write_json
from pipeline.metrics.calibration import softmax

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

MODELS = {"float32": "model.onnx", "int8": "model.int8.onnx"}
MANIFEST = "MANIFEST.json"
KINDS = {".json", ".onnx", ".safetensors", ".txt", ".model", ".jinja"}  # none of these can run code when read
BATCH_SIZE = 32
LONG = 100  # batches, from which a prediction shows its progress
CHUNK = 10_000  # texts tokenised at a time: the tokenizer's own records are many times larger than the ids kept


@dataclass(frozen=True)
class Classifier:
    """A loaded bundle, ready to predict; made by `load`."""

    labels: tuple[str, ...]
    temperature: float
    pad_id: int
    max_length: int
    precision: str
    tokenizer: "Tokenizer"
    session: "InferenceSession"

    def predict(self, texts: list[str], batch_size: int = BATCH_SIZE) -> np.ndarray:
        """Probability of each label for each text, (len(texts), len(labels)) float32, calibrated by temperature.

        Rows sum to 1 and columns are in the order of ``labels``. Equal input gives equal output. With int8 the ranges
        of activations are taken over a whole batch, so that a text's score moves slightly with its neighbours.
        """
        return softmax(self.logits(texts, batch_size), self.temperature)

    def logits(self, texts: list[str], batch_size: int = BATCH_SIZE) -> np.ndarray:
        """Uncalibrated scores, (len(texts), len(labels)) float32; texts of like length share a batch."""
        tokens = self.tokens(texts)
        order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
        batches: Iterable[list[int]] = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
        if len(order) > LONG * batch_size:
            batches = progress(batches, "predict", total=-(-len(order) // batch_size))
        scores = np.empty((len(tokens), len(self.labels)), dtype=np.float32)
        for rows in batches:
            scores[rows] = self.batch_logits([tokens[row] for row in rows])
        return scores

    def indices(self, labels: Iterable[str]) -> np.ndarray:
        """Where each of the labels stands in ``labels`` of the model; all of them must be there."""
        places = {label: place for place, label in enumerate(self.labels)}
        return np.array([places[label] for label in labels], dtype=np.int64)

    def tokens(self, texts: list[str]) -> list[np.ndarray]:
        """Token ids of each text, cut at the bundle's maximum length, special tokens included."""
        found: list[np.ndarray] = []
        for start in range(0, len(texts), CHUNK):
            encoded = self.tokenizer.encode_batch_fast(texts[start : start + CHUNK])
            found.extend(np.array(one.ids, dtype=np.int64) for one in encoded)
        return found

    def batch_logits(self, tokens: list[np.ndarray]) -> np.ndarray:
        """Scores of one batch, (len(tokens), len(labels)), each text padded to the longest."""
        ids = np.full((len(tokens), max(map(len, tokens))), self.pad_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, one in enumerate(tokens):
            ids[row, : len(one)] = one
            mask[row, : len(one)] = 1
        return self.session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0]


def load(folder: Path, precision: str | None = None, threads: int | None = None) -> Classifier:
    """Check every file of the bundle against its manifest, then load it.

    ``precision`` is float32 or int8, by default the one that the bundle says to serve; ``threads`` is by default the
    number of CPUs. Raises UserError that names the file when one is changed, missing, unknown or of a kind that could
    run code.
    """
    verify(folder)
    return read(folder, precision, threads)


def read(folder: Path, precision: str | None = None, threads: int | None = None) -> Classifier:
    """Load a bundle that is not sealed yet; everyone but the stage that builds it calls `load`."""
    from onnxruntime import InferenceSession, SessionOptions
    from tokenizers import Tokenizer

    about = read_json(folder / "classifier.json")
    precision = precision or about["serve"]
    model = folder / MODELS[precision]
    if not model.exists():
        raise UserError(f"{model}: expected an {precision} model, found none; set export.int8 and run `dvc repro`")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(about["max_length"])
    options = SessionOptions()
    options.intra_op_num_threads = threads or os.cpu_count() or 1
    session = InferenceSession(model.read_bytes(), options, providers=["CPUExecutionProvider"])
    labels, kept = tuple(about["labels"]), (about["temperature"], about["pad_id"], about["max_length"])
    return Classifier(labels, *kept, precision, tokenizer, session)


def seal(folder: Path) -> None:
    """Write the manifest, last of all files: SHA-256 by path inside the bundle."""
    write_json({name: sha256(folder / name) for name in contents(folder)}, folder / MANIFEST)


def verify(folder: Path) -> None:
    """Raise UserError for the first file that is not what the manifest says."""
    path = folder / MANIFEST
    if not path.exists():
        raise UserError(f"{path}: expected a sealed model bundle, found none; run `dvc repro export`")
    manifest, found = read_json(path), contents(folder)
    for name in sorted(manifest.keys() - set(found)):
        raise UserError(f"{folder / name}: expected this file of the bundle, found none; run `dvc repro export`")
    for name in found:
        if Path(name).suffix not in KINDS:
            kinds = ", ".join(sorted(KINDS))
            raise UserError(f"{folder / name}: expected only {kinds} in a bundle; never load weights from a pickle")
        if name not in manifest:
            raise UserError(f"{folder / name}: expected only the files in {MANIFEST}, found this one too; remove it")
        if sha256(folder / name) != manifest[name]:
            raise UserError(f"{folder / name}: expected the digest in {MANIFEST}, found another; rerun export")


def contents(folder: Path) -> list[str]:
    """Paths of the bundle's files inside it, sorted, without the manifest itself."""
    return sorted(
        name
        for path in folder.rglob("*")
        if not path.is_dir() and (name := path.relative_to(folder).as_posix()) != MANIFEST
    )


def sha256(path: Path) -> str:
    """Digest of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
