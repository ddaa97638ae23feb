"""Drift as a Prefect task: the champion's training rows and answers against what arrived since the last training."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from pipeline.core import table
from pipeline.core.params import Params
from pipeline.core.stage import Paths
from pipeline.labelling import arrivals
from pipeline.models import classifier
from pipeline.models.embeddings import embed
from pipeline.policies import drift
from pipeline.policies.drift import DriftReport
from tasks.prefect_states.user_error import as_failed_state
from tasks.registry import bundles, connect, lookup, trainings
from tasks.registry.nights import Champion


@task(name="drift", task_run_name="drift", cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def measure_drift(root: Path, params: Params, champion: Champion) -> DriftReport | None:
    """Compare what arrived since the last training with what the champion learned from; None if nothing arrived.

    Corrections are left out. Users report what went wrong, so corrections are no sample of the texts that are written.
    """
    paths, ingest = Paths(root), params.ingest
    read = trainings.find_read_arrivals(root, params)
    fresh = unselected_training_rows(arrivals.unread_rows(read, ingest, root))
    if fresh.empty:
        return None
    later = arrivals.unread_rows(champion.read, ingest, root)
    old = rows_learned_from(later, paths)
    arrived = unselected_training_rows(arrivals.usable_rows(ingest, root))
    gold_before = arrived.loc[~arrived["file"].isin(later["file"]), "label"].dropna()
    gold_now = fresh["label"].dropna()
    has_gold = drift.is_enough(len(gold_before), len(gold_now), params.drift)
    if has_gold or drift.is_enough(len(old), len(fresh), params.drift):
        texts = [*old["text"], *fresh["text"]]
        vectors = embed(texts, paths.data("pretrain") / "encoder", params.encoder, paths)
        answers = predict_labels(load_classifier(root, params, champion.number), texts)
        label_pairs = {"answers": (answers[: len(old)], answers[len(old) :])}
        if has_gold:
            label_pairs["gold labels"] = (gold_before.tolist(), gold_now.tolist())
        report = drift.detect_drift(vectors[: len(old)], vectors[len(old) :], label_pairs, params.drift)
    else:  # minutes of an encoder would not change the answer
        report = drift.insufficient_report(len(old), len(fresh), ("texts", "answers"))
    for test in report.tests:
        get_run_logger().info(test.line)
    return report


def unselected_training_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The arrivals of the training split that no person chose or corrected."""
    return rows[rows["answers"].isna() & rows["split"].eq("train")].drop_duplicates("id")


def rows_learned_from(later: pd.DataFrame, paths: Paths) -> pd.DataFrame:
    """The champion's rows: the training split and the pool of the last ingest without ``later``, which it never saw."""
    files = [paths.data("ingest") / f"{split}.parquet" for split in ("train", "unlabelled")]
    tables = [table.read_columns(file, ["id", "text"]) for file in files]
    rows = pd.concat(tables, ignore_index=True)
    return rows[~rows["id"].isin(later["id"])]


def load_classifier(root: Path, params: Params, number: str) -> classifier.Classifier:
    """The classifier of a registered version. Its bundle is checked before it is read."""
    client = connect(root)
    with TemporaryDirectory() as folder:
        version = lookup.get_version(client, params.registry.model, number)
        return classifier.load(bundles.fetch_bundle(version, Path(folder)))


def predict_labels(model: classifier.Classifier, texts: list[str]) -> list[str]:
    """The label that a model gives to each text."""
    return [model.labels[index] for index in model.predict(texts).argmax(axis=1)] if texts else []


@task(name="error counts", task_run_name="error counts", cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def count_errors(root: Path, params: Params, corrections: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """For each version, the number of corrected texts that it was asked about, and how many of them it got wrong.

    The answers are computed anew with the version's bundle. A report that confirms an answer is no error.
    """
    counts: dict[str, tuple[int, int]] = {}
    for number, rows in corrections.groupby("version"):
        answers = predict_labels(load_classifier(root, params, str(number)), rows["text"].tolist())
        wrong = sum(answer != label for answer, label in zip(answers, rows["label"], strict=True))
        counts[str(number)] = (len(rows), wrong)
    return counts
