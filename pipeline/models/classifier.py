"""The model bundle: sealed with digests, checked, loaded, and used to predict, without torch or transformers.

A bundle is a folder: ``classifier.json``, ``tokenizer.json``, ``model.onnx`` (and ``model.int8.onnx``), the weights as
safetensors, and ``MANIFEST.json`` with the SHA-256 of every other file.
"""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.core.errors import UserError
from pipeline.core.printable import printable
from pipeline.core.stage import progress
from pipeline.metrics.calibration import softmax
from pipeline.models import onnx_file
from pipeline.models.abstention import Abstention, load_abstention
from pipeline.models.answers import Answer
from pipeline.models.bundle_files import MANIFEST, MAX_JSON_BYTES, bundle_files, seal, verify
from pipeline.models.bundle_settings import read_settings

__all__ = ["MANIFEST", "Answer", "Classifier", "bundle_files", "load", "load_unverified", "seal", "softmax", "verify"]

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

MODELS = {"float32": "model.onnx", "int8": "model.int8.onnx"}
BATCH_SIZE = 32
PROGRESS_FROM = 100  # batches; a prediction of fewer is over before a progress line helps
REPLACED_TIMEOUT = 2.0  # seconds in which a bundle that is replaced while it is read is read again
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
    abstention: Abstention | None = None  # None: every text gets a label

    def answers(self, texts: list[str], batch_size: int = BATCH_SIZE, *, abstain: bool = True) -> list[Answer]:
        """The answer to each text, in the order of ``texts``: a label, or none where the bundle is made to abstain.

        Without ``abstain``, every text gets a label.
        """
        if self.abstention is None or not abstain:
            return self.decide(self.logits(texts, batch_size))
        return self.decide(*self.logits_and_vectors(texts, batch_size))

    def decide(self, logits: np.ndarray, vectors: np.ndarray | None = None) -> list[Answer]:
        """The answers to texts from what `batch_outputs` or `logits` gave for them.

        ``logits`` is (texts, labels) and ``vectors`` (texts, width), both float32. Without vectors, and in a bundle
        that does not abstain, every text gets a label.
        """
        probabilities = softmax(logits, self.temperature)
        labels: list[str | None] = [self.labels[best] for best in probabilities.argmax(axis=1)]
        confidence = probabilities.max(axis=1, initial=0).astype(float).tolist()
        if self.abstention is None or vectors is None:
            return [Answer(label, sure, None) for label, sure in zip(labels, confidence, strict=True)]
        scores = self.abstention.scores(vectors)
        refused = scores > self.abstention.threshold
        return [
            Answer(None if refuse else label, sure, float(score))
            for label, sure, score, refuse in zip(labels, confidence, scores, refused, strict=True)
        ]

    def predict(self, texts: list[str], batch_size: int = BATCH_SIZE) -> np.ndarray:
        """Probability of each label for each text, (texts, labels), float32, 0 to 1, calibrated by temperature.

        Rows sum to 1 and columns are in the order of ``labels``. Equal input gives equal output. In int8 the ranges
        of activations are those of a whole batch, so that a text's score depends slightly on the texts beside it.
        """
        return softmax(self.logits(texts, batch_size), self.temperature)

    def predict_and_score(self, texts: list[str], batch_size: int = BATCH_SIZE) -> tuple[np.ndarray, np.ndarray | None]:
        """What `predict` gives, (texts, labels), float32, and how unlike every class each text is, (texts,), float64.

        The latter is None for a bundle that does not abstain.
        """
        if self.abstention is None:
            return self.predict(texts, batch_size), None
        logits, vectors = self.logits_and_vectors(texts, batch_size)
        return softmax(logits, self.temperature), self.abstention.scores(vectors)

    def logits(self, texts: list[str], batch_size: int = BATCH_SIZE) -> np.ndarray:
        """Uncalibrated scores, (texts, labels), float32; texts of like length share a batch."""
        scores = np.empty((len(texts), len(self.labels)), dtype=np.float32)
        for rows, tokens in self.batches(texts, batch_size):
            scores[rows] = self.batch_logits(tokens)
        return scores

    def logits_and_vectors(self, texts: list[str], batch_size: int = BATCH_SIZE) -> tuple[np.ndarray, np.ndarray]:
        """Uncalibrated scores, (texts, labels), and unit vectors of the texts, (texts, width), both float32.

        Raises UserError if the bundle gives no vectors, as those of before there was abstention.
        """
        logits = np.empty((len(texts), len(self.labels)), dtype=np.float32)
        vectors = np.empty((len(texts), self.width), dtype=np.float32)
        for rows, tokens in self.batches(texts, batch_size):
            logits[rows], vectors[rows] = self.batch_outputs(tokens)
        return logits, vectors

    def batches(self, texts: list[str], batch_size: int) -> Iterable[tuple[list[int], list[np.ndarray]]]:
        """Row numbers and their token ids, each (tokens,), int64, of up to ``batch_size`` texts of like length."""
        tokens = self.tokenise(texts)
        order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
        batches: Iterable[list[int]] = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
        if len(order) > PROGRESS_FROM * batch_size:
            batches = progress(batches, "predict", total=-(-len(order) // batch_size))
        return ((rows, [tokens[row] for row in rows]) for rows in batches)

    @property
    def width(self) -> int:
        """The width of the text vectors. Raises UserError if the bundle gives none."""
        width = onnx_file.vector_width(self.session)
        if width is None:
            raise UserError(
                f"{MODELS[self.precision]}: expected the output {onnx_file.VECTORS}, found none; rerun export"
            )
        return width

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
        """Uncalibrated scores of one batch, (texts, labels), float32; ``tokens`` is what `pad` takes, int64."""
        return onnx_file.run(self.session, *self.pad(tokens), MODELS[self.precision])

    def batch_outputs(self, tokens: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Uncalibrated scores, (texts, labels), and unit vectors, (texts, width), of one batch, both float32.

        ``tokens`` is what `pad` takes, int64. Raises UserError if the bundle gives no vectors.
        """
        outputs = (onnx_file.OUTPUT, onnx_file.VECTORS)
        logits, vectors = onnx_file.run_outputs(self.session, outputs, *self.pad(tokens), MODELS[self.precision])
        return logits, vectors

    def pad(self, tokens: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Ids and mask of one batch, both (texts, tokens), int64.

        ``tokens`` holds the token ids of each text, (tokens,), int64; each text is padded to the longest.
        """
        ids = np.full((len(tokens), max(map(len, tokens))), self.pad_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, text_ids in enumerate(tokens):
            ids[row, : len(text_ids)] = text_ids
            mask[row, : len(text_ids)] = 1
        return ids, mask


def load(folder: Path, precision: str | None = None, threads: int | None = None) -> Classifier:
    """Check every file of the bundle against its manifest, then load it.

    ``precision`` is float32 or int8; without it, the bundle's ``serve`` decides. ``threads`` is by default the number
    of CPUs. A bundle that is replaced meanwhile is read again. Raises UserError that names the first file that is
    changed, missing, unknown, of a kind that could run code, or does not fit the others.
    """
    deadline = time.monotonic() + REPLACED_TIMEOUT
    while True:
        before = manifest_content(folder)
        loaded: Classifier | UserError
        try:
            verify(folder)
            loaded = load_unverified(folder, precision, threads)
        except UserError as error:
            loaded = error
        except OSError as error:
            loaded = UserError(f"{folder}: expected a bundle that can be read, found: {error.strerror}; mend it")
        if manifest_content(folder) == before or time.monotonic() > deadline:
            break
    if isinstance(loaded, UserError):
        raise loaded
    return loaded


def manifest_content(folder: Path) -> bytes | None:
    """The bytes of the manifest, which are others once the bundle is replaced; None if there is none to be read."""
    path = folder / MANIFEST
    try:
        return path.read_bytes() if path.is_file() and path.stat().st_size < MAX_JSON_BYTES else None
    except OSError:
        return None


def load_unverified(folder: Path, precision: str | None = None, threads: int | None = None) -> Classifier:
    """Load a bundle without checking its digests, as the stage that builds it has to; everyone else calls `load`.

    Raises UserError if the bundle holds no model of this precision, or its files do not fit each other.
    """
    settings = read_settings(folder)
    precision = precision or settings.serve
    model = folder / MODELS[precision]
    if not model.exists():
        raise UserError(f"{model}: expected an {precision} model, found none; set export.int8 and run `dvc repro`")
    tokenizer = load_tokenizer(folder / "tokenizer.json", settings.max_length)
    session = onnx_file.open_session(model, threads or os.cpu_count() or 1)
    last_token = tokenizer.get_vocab_size() - 1
    onnx_file.check_answers(session, model, len(settings.labels), (last_token, settings.pad_id))
    return Classifier(
        labels=tuple(settings.labels),
        temperature=settings.temperature,
        pad_id=settings.pad_id,
        max_length=settings.max_length,
        precision=precision,
        tokenizer=tokenizer,
        session=session,
        abstention=load_abstention(folder, settings.abstention, onnx_file.vector_width(session)),
    )


def load_tokenizer(path: Path, max_length: int) -> "Tokenizer":
    """The tokenizer, which cuts texts at ``max_length`` tokens. Raises UserError if the file is none."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length)
        tokenizer.encode("a")
    except Exception as error:  # noqa: BLE001  tokenizers raises Exception itself
        found = printable(str(error)[:200])
        raise UserError(f"{path}: expected a tokenizer, found: {found}; rerun export") from None
    return tokenizer
