"""The model bundle: sealed with digests, checked, loaded, and used to predict, without torch or transformers.

A bundle is a folder: ``classifier.json``, ``tokenizer.json``, ``model.onnx`` (and ``model.int8.onnx``), the weights as
safetensors, and ``MANIFEST.json`` with the SHA-256 of every other file.

    model = load(folder)                                      # as it was measured: what classifier.json records
    model = load(folder, "bfloat16")                          # OpenVINO on a CPU that computes in bfloat16
    probabilities = model.predict(texts)
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.core.errors import UserError
from pipeline.core.stage import progress
from pipeline.metrics.calibration import softmax
from pipeline.models import runtime as runtimes
from pipeline.models.abstention import Abstention, load_abstention
from pipeline.models.answers import Answer, make_answers
from pipeline.models.bundle_files import MANIFEST, bundle_files, manifest_content, seal, verify
from pipeline.models.bundle_settings import read_settings
from pipeline.models.onnx_file import LOGITS, LOGITS_AND_VECTORS, output_columns
from pipeline.models.onnx_model import check_answers, open_model
from pipeline.models.runtime import Batch, Runtime
from pipeline.models.tokenizer_file import load_tokenizer, tokenise

__all__ = ["MANIFEST", "Answer", "Classifier", "bundle_files", "load", "load_unverified", "seal", "softmax", "verify"]

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MODELS = {"float32": "model.onnx", "bfloat16": "model.onnx", "int8": "model.int8.onnx"}
BATCH_SIZE = 32
Scored = tuple[np.ndarray, np.ndarray | None, np.ndarray]  # probabilities, how unlike every class, vectors
LENGTH_STEP = 8  # tokens; texts are padded up to a multiple of this, so that few lengths occur
PROGRESS_FROM = 100  # batches; a prediction of fewer is over before a progress line helps
REPLACED_TIMEOUT = 2.0  # seconds in which a bundle that is replaced while it is read is read again


@dataclass(frozen=True)
class Classifier:
    """A loaded bundle, ready to predict; `load` makes it."""

    labels: tuple[str, ...]
    temperature: float
    pad_id: int
    max_length: int
    tokenizer: "Tokenizer"
    runtime: Runtime
    columns: int  # outputs of a text: logits, and behind them its vector where that is loaded
    abstention: Abstention | None = None  # None: every text gets a label
    texts_at_once: int | None = None  # among so many texts, in their order, batches are formed; None: among all

    @property
    def precision(self) -> str:
        """The precision in which it computes: float32, bfloat16 or int8."""
        return self.runtime.precision

    def answers(self, texts: list[str], batch_size: int = BATCH_SIZE, *, abstain: bool = True) -> list[Answer]:
        """The answer to each text, in the order of ``texts``: a label, or none where the bundle is made to abstain.

        Without ``abstain``, every text gets a label.
        """
        probabilities, scores = self.predict_and_score(texts, batch_size)
        if self.abstention is None or scores is None or not abstain:
            return make_answers(self.labels, probabilities, None, None)
        return make_answers(self.labels, probabilities, scores, self.abstention.refuses(scores))

    def predict(self, texts: list[str], batch_size: int = BATCH_SIZE) -> np.ndarray:
        """Probability of each label for each text, (texts, labels), float32, 0 to 1, calibrated by temperature.

        Rows sum to 1 and columns are in the order of ``labels``. Equal input gives equal output. A text's score is the
        same to the bit whatever the texts beside it under OpenVINO. Under ONNX Runtime its last digits may differ, and
        in int8 the ranges of activations are those of a whole batch. Threads may call this at the same time.
        """
        return softmax(self.logits(texts, batch_size), self.temperature)

    def predict_and_score(self, texts: list[str], batch_size: int = BATCH_SIZE) -> tuple[np.ndarray, np.ndarray | None]:
        """What `predict` gives, (texts, labels), float32, and how unlike every class each text is, (texts,), float64.

        The latter is None for a bundle that does not abstain.
        """
        probabilities, scores, _ = self.score_and_embed(self.tokenise(texts), batch_size)
        return probabilities, scores

    def score_and_embed(self, tokens: list[np.ndarray], batch_size: int = BATCH_SIZE) -> Scored:
        """What `predict_and_score` gives, and the unit vectors of the texts, (texts, width), float32.

        The width is 0 where the vectors are not loaded. ``tokens`` holds the ids of each text, (tokens,), int64.
        """
        logits, vectors = np.split(self.token_outputs(tokens, batch_size), [len(self.labels)], axis=1)
        scores = None if self.abstention is None else self.abstention.scores(vectors)
        return softmax(logits, self.temperature), scores, vectors

    def vectors(self, texts: list[str]) -> np.ndarray:
        """Unit vectors of the texts, (texts, width), float32, of a bundle that was loaded with them."""
        return self.token_outputs(self.tokenise(texts))[:, len(self.labels) :]

    def logits(self, texts: list[str], batch_size: int = BATCH_SIZE) -> np.ndarray:
        """Uncalibrated scores, (texts, labels), float32; texts of like length share a batch."""
        return self.token_logits(self.tokenise(texts), batch_size)

    def token_logits(self, tokens: list[np.ndarray], batch_size: int = BATCH_SIZE) -> np.ndarray:
        """Uncalibrated scores, (texts, labels), float32; ``tokens`` holds the ids of each text, (tokens,), int64."""
        return self.token_outputs(tokens, batch_size)[:, : len(self.labels)]

    def token_outputs(self, tokens: list[np.ndarray], batch_size: int = BATCH_SIZE) -> np.ndarray:
        """Uncalibrated scores, and behind them the unit vectors where these are loaded, (texts, outputs), float32.

        ``tokens`` holds the ids of each text, (tokens,), int64. Of the texts among which batches are formed, those with
        the same tokens are computed once.
        """
        at_once = self.texts_at_once or max(1, len(tokens))
        firsts: list[int] = []  # for each text the position of the first one like it
        batches: list[list[int]] = []
        for start in range(0, len(tokens), at_once):
            positions: dict[bytes, int] = {}
            part = tokens[start : start + at_once]
            firsts += [positions.setdefault(ids.tobytes(), start + row) for row, ids in enumerate(part)]
            distinct = list(positions.values())
            in_part = self.batches([tokens[position] for position in distinct], batch_size)
            batches += [[distinct[row] for row in rows] for rows in in_part]
        outputs: Iterable[np.ndarray] = self.runtime.run(self.pad([tokens[row] for row in rows]) for rows in batches)
        if len(batches) > PROGRESS_FROM:
            outputs = progress(outputs, "predict", total=len(batches))
        results = np.empty((len(tokens), self.columns), dtype=np.float32)
        for rows, output in zip(batches, outputs, strict=True):
            results[rows] = output
        return results[firsts]

    def batches(self, tokens: list[np.ndarray], batch_size: int) -> list[list[int]]:
        """The positions in ``tokens``, (tokens,), int64 each, that share a batch: of one padded length, short first."""
        by_length: dict[int, list[int]] = {}
        for row, ids in enumerate(tokens):
            by_length.setdefault(self.padded_length(len(ids)), []).append(row)
        return [
            rows[start : start + batch_size]
            for _, rows in sorted(by_length.items())
            for start in range(0, len(rows), batch_size)
        ]

    def padded_length(self, length: int) -> int:
        """The length that a text of ``length`` tokens is padded to; never above what the model can read."""
        return max(length, min(-(-length // LENGTH_STEP) * LENGTH_STEP, self.max_length))

    def label_indices(self, labels: Iterable[str]) -> np.ndarray:
        """The index of each label in the model's ``labels``, (labels,), int64; every label has to be one of them."""
        index_of = {label: index for index, label in enumerate(self.labels)}
        return np.array([index_of[label] for label in labels], dtype=np.int64)

    def tokenise(self, texts: list[str]) -> list[np.ndarray]:
        """Token ids of each text, (tokens,), int64, cut at the bundle's maximum length, special tokens included."""
        return tokenise(self.tokenizer, texts)

    def pad(self, tokens: list[np.ndarray]) -> Batch:
        """Ids and mask of one batch, both (texts, length), int64; ``tokens`` holds the ids of each text, (tokens,)."""
        ids = np.full((len(tokens), self.padded_length(max(map(len, tokens)))), self.pad_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, text_ids in enumerate(tokens):
            ids[row, : len(text_ids)] = text_ids
            mask[row, : len(text_ids)] = 1
        return ids, mask


def load(
    folder: Path,
    precision: str | None = None,
    threads: int | None = None,
    runtime: str | None = None,
    with_vectors: bool = False,
) -> Classifier:
    """Check every file of the bundle against its manifest, then load it.

    ``precision`` is float32, bfloat16 or int8; without it, the bundle's ``serve`` decides. ``runtime`` is openvino or
    onnxruntime; without it, openvino is taken where it is installed, but onnxruntime for int8. ``threads`` is by
    default the number of CPUs. ``with_vectors`` is as in `load_unverified`. A bundle that is replaced meanwhile is read
    again.

    Raises UserError that names the first file that is changed, missing, unknown, of a kind that could run code, or does
    not fit the others; and where the runtime is not installed, or where it or the CPU lacks the precision.
    """
    deadline = time.monotonic() + REPLACED_TIMEOUT
    while True:
        before = manifest_content(folder)
        loaded: Classifier | UserError
        try:
            verify(folder)
            loaded = load_unverified(folder, precision, threads, runtime, with_vectors)
        except UserError as error:
            loaded = error
        except OSError as error:
            loaded = UserError(f"{folder}: expected a bundle that can be read, found: {error.strerror}; mend it")
        if manifest_content(folder) == before or time.monotonic() > deadline:
            break
    if isinstance(loaded, UserError):
        raise loaded
    return loaded


def load_unverified(
    folder: Path,
    precision: str | None = None,
    threads: int | None = None,
    runtime: str | None = None,
    with_vectors: bool = False,
) -> Classifier:
    """Load a bundle without checking its digests, as the stage that builds it has to; everyone else calls `load`.

    ``with_vectors`` loads the vectors of texts, too, if the model gives them; they come anyway where the bundle
    abstains.

    Raises UserError if the bundle holds no model of this precision, if its files do not fit each other, or if this
    machine lacks the runtime or the precision.
    """
    settings = read_settings(folder)
    choice = runtimes.choose_for_answers(runtime, precision or settings.serve)
    model = folder / MODELS[choice.precision]
    if not model.exists():
        found = f"{model}: expected an {choice.precision} model, found none"
        raise UserError(f"{found}; set export.int8 and run `dvc repro`")
    tokenizer = load_tokenizer(folder / "tokenizer.json", settings.max_length)
    needs_vectors = with_vectors or settings.abstention is not None
    columns = output_columns(model, LOGITS_AND_VECTORS) if needs_vectors else None
    if columns is None and settings.abstention is not None:
        raise UserError(f"{model}: expected the float output {LOGITS_AND_VECTORS}, found none; rerun export")
    width = 0 if columns is None else columns - len(settings.labels)
    classifier = Classifier(
        labels=tuple(settings.labels),
        temperature=settings.temperature,
        pad_id=settings.pad_id,
        max_length=settings.max_length,
        tokenizer=tokenizer,
        runtime=open_model(model, choice, LOGITS_AND_VECTORS if width else LOGITS, threads),
        columns=len(settings.labels) + width,
        abstention=load_abstention(folder, settings.abstention, width),
    )
    check_answers(
        classifier.runtime, model, tokenizer.get_vocab_size() - 1, settings.pad_id, len(settings.labels), width
    )
    return classifier
