"""What a version's training left to compare its traffic with: made once from recorded data, and kept in data/scratch.

The rows that it learned from and its answers to the test rows are those that its dvc.lock names. The texts are embedded
and answered by the version itself, and what is kept of them is what the service keeps of its traffic: numbers.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.core.stage import Paths, waiting, write_atomically, write_json
from pipeline.policies.monitoring.reference import MeasuredAnswers, TrainingReference
from pipeline.serving.traffic_files import AnsweredTexts, answers_table, top_two
from pipeline.serving.traffic_reader import to_traffic
from tasks.registry.manifest import manifest_digest

if TYPE_CHECKING:
    from pipeline.models.classifier import Classifier
    from tasks.registry.version_bundle import VersionBundle

LEARNED = ("data/ingest/train.parquet", "data/ingest/unlabelled.parquet")
PREDICTIONS = "data/evaluate/predictions.parquet"
TRAINING_FILE, TESTED_FILE = "training.parquet", "answered.json"
DIGEST_DIGITS = 16  # of a bundle's manifest, with which the name of what is kept begins
KEPT_AS = 3  # changes with what is kept of a training


@dataclass(frozen=True)
class MonitoredVersion:
    """A bundle on this machine, and the version that it is; ``number`` is None for one that is not registered."""

    folder: Path
    digest: str  # SHA-256 of its manifest
    model: str
    number: str | None

    @staticmethod
    def of(bundle: "VersionBundle") -> "MonitoredVersion":
        """The registered version whose bundle this is."""
        return MonitoredVersion(bundle.folder, manifest_digest(bundle.folder), bundle.model, bundle.number)


def find_reference(root: Path, params: Params, version: MonitoredVersion) -> TrainingReference:
    """What is known of the training of a version; with the reason why something is not."""
    limits = params.drift
    name = f"{version.digest[:DIGEST_DIGITS]}-{limits.max_rows}-{limits.seed}-{KEPT_AS}"
    kept = Paths(root).scratch("monitor") / name
    try:
        if not (kept / TRAINING_FILE).exists():
            files = recorded_files(root, version)
            with waiting("monitor: answers to the rows of the training"):
                write_atomically(kept, lambda part: write_reference(part, params, version, files))
        return read_reference(kept)
    except UserError as error:
        return TrainingReference(absence=str(error))
    except ModuleNotFoundError as error:
        return TrainingReference(absence=f"expected the package {error.name}, which finds recorded rows, found none")


def recorded_files(root: Path, version: MonitoredVersion) -> dict[str, Path]:
    """The files that the version's dvc.lock names, by path; the predictions may be missing.

    Raises UserError if it is not registered, or if the rows that it learned from are not to be had.
    """
    if version.number is None:
        raise UserError("the bundle is no registered version, so that no training is recorded with it")
    from tasks.dvc import store
    from tasks.dvc.lock_file import md5_of
    from tasks.registry import connect, lookup

    registered = lookup.get_version(connect(root), version.model, version.number)
    lock = registered.lock_or_none()
    if lock is None:
        raise UserError(f"{registered.title}: expected the dvc.lock that it was registered with, found none")
    digests = {path: md5_of(lock, path) for path in (*LEARNED, PREDICTIONS)}
    if digests[LEARNED[0]] is None:
        raise UserError(f"{registered.title}: expected {LEARNED[0]} in its dvc.lock, found none")
    return {path: store.find_content(root, path, md5) for path, md5 in digests.items() if md5 is not None}


def write_reference(folder: Path, params: Params, version: MonitoredVersion, files: dict[str, Path]) -> None:
    """Write what is kept of a training into a new folder: a sample of its texts as numbers, and the test answers."""
    import pyarrow.parquet as pq

    from pipeline.models import classifier

    folder.mkdir()
    tables = [pd.read_parquet(files[path], columns=["text"]) for path in LEARNED if path in files]
    texts = pd.concat(tables)["text"].drop_duplicates()
    limits = params.drift
    if len(texts) > limits.max_rows:
        texts = texts.sample(limits.max_rows, random_state=limits.seed)
    model = classifier.load(version.folder, with_vectors=True)
    pq.write_table(answers_table([answer_texts(model, texts.tolist(), version.digest)]), folder / TRAINING_FILE)
    write_json(summarise_predictions(files.get(PREDICTIONS)), folder / TESTED_FILE)


def answer_texts(model: "Classifier", texts: list[str], digest: str) -> AnsweredTexts:
    """The answers of a model to texts, as the service keeps them."""
    probabilities, scores, vectors = model.score_and_embed(model.tokenise(texts))
    labels: list[str | None] = [model.labels[index] for index in probabilities.argmax(axis=1)]
    if model.abstention is not None and scores is not None:
        refused = model.abstention.refuses(scores)
        labels = [None if refuse else label for label, refuse in zip(labels, refused, strict=True)]
    ids = [str(number) for number in range(len(texts))]
    at, kept = datetime.now(UTC), vectors.astype(np.float16)
    return AnsweredTexts(
        at, "training", None, digest, 0.0, ids, labels, *top_two(probabilities), kept, [*range(len(texts))]
    )


def summarise_predictions(path: Path | None) -> dict[str, object] | None:
    """What `MeasuredAnswers` holds, of the predictions of the test rows; None without them.

    Accuracy and confidence are those of the rows that get a label, as they are of the traffic.
    """
    if path is None:
        return None
    rows = pd.read_parquet(path)
    _, margins = top_two(rows.filter(regex=r"^score\.").to_numpy())
    refused = int(rows["reason"].notna().sum()) if "reason" in rows else 0
    if refused:
        rows = rows[rows["reason"].isna()]
    if rows.empty:
        return None
    correct = rows["label"].eq(rows["predicted"])
    return {
        "accuracy": float(correct.mean()),
        "confidence": float(rows["confidence"].mean()),
        "error": float((correct - rows["confidence"]).std(ddof=0) / len(rows) ** 0.5),
        "margins": margins.round(6).tolist(),
        "refused": refused,
    }


def read_reference(folder: Path) -> TrainingReference:
    """What was kept of a training. Raises UserError if it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        traffic = to_traffic([pq.ParquetFile(folder / TRAINING_FILE).read()])
        content = json.loads((folder / TESTED_FILE).read_bytes())
        tested = None if content is None else MeasuredAnswers(**content | {"margins": np.array(content["margins"])})
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        raise UserError(f"{folder}: expected what was kept of a training, found it damaged; remove it") from None
    absence = f"its dvc.lock names no {PREDICTIONS} in which a row got a label" if tested is None else ""
    return TrainingReference(traffic.vectors, traffic.labels, tested, absence)
