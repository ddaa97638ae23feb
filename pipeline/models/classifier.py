"""The model bundle: sealed with digests, checked, loaded, and used to predict, without torch or transformers.

A bundle is a folder: ``classifier.json``, ``tokenizer.json``, ``model.onnx`` (and ``model.int8.onnx``), the weights as
safetensors, and ``MANIFEST.json`` with the SHA-256 of every other file.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.core.digests import file_sha256
from pipeline.core.errors import UserError
from pipeline.core.stage import progress, read_json, write_json
from pipeline.metrics.calibration import softmax

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

MODELS = {"float32": "model.onnx", "int8": "model.int8.onnx"}
MANIFEST = "MANIFEST.json"
# Suffixes of files in a bundle; none of these can run code when read.
ALLOWED_SUFFIXES = {".json", ".onnx", ".safetensors", ".txt", ".model", ".jinja"}
BATCH_SIZE = 32
PROGRESS_FROM = 100  # batches; a prediction of fewer is over before a progress line helps
TOKENISED_AT_ONCE = 10_000  # texts: the tokenizer's records are many times larger than the ids that are kept


@dataclass(frozen=True)
class Classifier:
    """A loaded bundle, ready to predict; `load` makes it."""

    labels: tuple[str, ...]
    temperature: float
    pad_id: int
    max_length: int
    precision: str
    tokenizer: "Tokenizer"
    session: "InferenceSession"

    def predict(self, texts: list[str], batch_size: int = BATCH_SIZE) -> np.ndarray:
        """Probability of each label for each text, (texts, labels), float32, 0 to 1, calibrated by temperature.

        Rows sum to 1 and columns are in the order of ``labels``. Equal input gives equal output. In int8 the ranges
        of activations are those of a whole batch, so that a text's score depends slightly on the texts beside it.
        """
        return softmax(self.logits(texts, batch_size), self.temperature)

    def logits(self, texts: list[str], batch_size: int = BATCH_SIZE) -> np.ndarray:
        """Uncalibrated scores, (texts, labels), float32; texts of like length share a batch."""
        tokens = self.tokenise(texts)
        order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
        batches: Iterable[list[int]] = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
        if len(order) > PROGRESS_FROM * batch_size:
            batches = progress(batches, "predict", total=-(-len(order) // batch_size))
        scores = np.empty((len(tokens), len(self.labels)), dtype=np.float32)
        for rows in batches:
            scores[rows] = self.batch_logits([tokens[row] for row in rows])
        return scores

    def label_indices(self, labels: Iterable[str]) -> np.ndarray:
        """The index of each label in the model's ``labels``, (labels,), int64; every label has to be one of them."""
        index_of = {label: index for index, label in enumerate(self.labels)}
        return np.array([index_of[label] for label in labels], dtype=np.int64)

    def tokenise(self, texts: list[str]) -> list[np.ndarray]:
        """Token ids of each text, (tokens,), int64, cut at the bundle's maximum length, special tokens included."""
        tokens: list[np.ndarray] = []
        for start in range(0, len(texts), TOKENISED_AT_ONCE):
            encodings = self.tokenizer.encode_batch_fast(texts[start : start + TOKENISED_AT_ONCE])
            tokens.extend(np.array(encoding.ids, dtype=np.int64) for encoding in encodings)
        return tokens

    def batch_logits(self, tokens: list[np.ndarray]) -> np.ndarray:
        """Uncalibrated scores of one batch, (texts, labels), float32.

        ``tokens`` holds the token ids of each text, (tokens,), int64; each text is padded to the longest.
        """
        ids = np.full((len(tokens), max(map(len, tokens))), self.pad_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, text_ids in enumerate(tokens):
            ids[row, : len(text_ids)] = text_ids
            mask[row, : len(text_ids)] = 1
        return self.session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0]


def load(folder: Path, precision: str | None = None, threads: int | None = None) -> Classifier:
    """Check every file of the bundle against its manifest, then load it.

    ``precision`` is float32 or int8; without it, the bundle's ``serve`` decides. ``threads`` is by default the number
    of CPUs. Raises UserError that names the first file that is changed, missing, unknown or of a kind that could run
    code.
    """
    verify(folder)
    return load_unverified(folder, precision, threads)


def load_unverified(folder: Path, precision: str | None = None, threads: int | None = None) -> Classifier:
    """Load a bundle without checking its files, as the stage that builds it has to; everyone else calls `load`.

    Raises UserError if the bundle holds no model of this precision.
    """
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
    return Classifier(
        labels=tuple(about["labels"]),
        temperature=about["temperature"],
        pad_id=about["pad_id"],
        max_length=about["max_length"],
        precision=precision,
        tokenizer=tokenizer,
        session=session,
    )


def seal(folder: Path) -> None:
    """Write the manifest, last of all files: the SHA-256 of each file by its path inside the bundle."""
    write_json({name: file_sha256(folder / name) for name in bundle_files(folder)}, folder / MANIFEST)


def verify(folder: Path) -> None:
    """Check a bundle against its manifest. Raises UserError for the first file that differs from it."""
    path = folder / MANIFEST
    if not path.exists():
        raise UserError(f"{path}: expected a sealed model bundle, found none; run `dvc repro export`")
    manifest, present = read_json(path), bundle_files(folder)
    for name in sorted(manifest.keys() - set(present)):
        raise UserError(f"{folder / name}: expected this file of the bundle, found none; run `dvc repro export`")
    for name in present:
        if Path(name).suffix not in ALLOWED_SUFFIXES:
            kinds = ", ".join(sorted(ALLOWED_SUFFIXES))
            raise UserError(f"{folder / name}: expected only {kinds} in a bundle; never load weights from a pickle")
        if name not in manifest:
            raise UserError(f"{folder / name}: expected only the files in {MANIFEST}, found this one too; remove it")
        if file_sha256(folder / name) != manifest[name]:
            raise UserError(f"{folder / name}: expected the digest in {MANIFEST}, found another; rerun export")


def bundle_files(folder: Path) -> list[str]:
    """Paths of the bundle's files inside it, sorted, without the manifest itself."""
    return sorted(
        name
        for path in folder.rglob("*")
        if not path.is_dir() and (name := path.relative_to(folder).as_posix()) != MANIFEST
    )
