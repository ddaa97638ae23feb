"""Drift as a Prefect task: the champion's own bundle and training rows against what arrived since it was trained."""

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
from pipeline.policies.drift import Drift
from tasks.prefect_states.user_error import as_failed_state
from tasks.registry import bundles, connect, lookup, nights
from tasks.registry.nights import Champion


@task(name="drift", task_run_name="drift", cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def look(root: Path, params: Params, champion: Champion) -> Drift | None:
    """Compare what arrived since the last training with what the champion learned from; None if nothing arrived.

    Corrections are left out: users report what went wrong, which is no sample of what is written.
    """
    paths, ingest = Paths(root), params.ingest
    fresh = plain(arrivals.since(nights.trained_until(root, params), ingest, root))
    if fresh.empty:
        return None
    old = learned_from(arrivals.since(champion.read_until, ingest, root), paths)
    model = load(root, params, champion.number)
    texts = [*old["text"], *fresh["text"]]
    vectors = embed(texts, paths.data("pretrain") / "encoder", params.encoder, paths)
    answers = predicted(model, texts)
    pairs = {"answers": (answers[: len(old)], answers[len(old) :])}
    known = plain(arrivals.since("", ingest, root))
    before = known.loc[known["file"].le(champion.read_until), "label"].dropna()
    now = fresh["label"].dropna()
    if min(len(before), len(now)) >= params.drift.min_rows:
        pairs["gold labels"] = (before.tolist(), now.tolist())
    found = drift.look(vectors[: len(old)], vectors[len(old) :], pairs, params.drift)
    for test in found.tests:
        get_run_logger().info(test.line)
    return found


def plain(rows: pd.DataFrame) -> pd.DataFrame:
    """Arrivals that a person neither chose nor corrected, and that train."""
    return rows[rows["answers"].isna() & rows["split"].eq("train")].drop_duplicates("id")


def learned_from(later: pd.DataFrame, paths: Paths) -> pd.DataFrame:
    """The training rows and the pool of the last ingest, without what arrived after the champion was trained."""
    tables = [table.read(paths.data("ingest") / f"{split}.parquet") for split in ("train", "unlabelled")]
    rows = pd.concat(tables, ignore_index=True)
    return rows[~rows["id"].isin(later["id"])]


def load(root: Path, params: Params, number: str) -> classifier.Classifier:
    """The classifier of a registered version; its bundle is checked before it is read."""
    client = connect(root)
    with TemporaryDirectory() as folder:
        version = lookup.numbered(client, params.registry.model, number)
        return classifier.load(bundles.fetch(version, Path(folder)))


def predicted(model: classifier.Classifier, texts: list[str]) -> list[str]:
    """The label that a model gives to each text."""
    return [model.labels[place] for place in model.predict(texts).argmax(axis=1)] if texts else []


@task(name="error counts", task_run_name="error counts", cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def error_counts(root: Path, params: Params, corrections: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """How many of the corrected texts each version was asked about, and how many of those it got wrong.

    Its answers are computed anew with its own bundle: a report that confirms an answer is no error.
    """
    found: dict[str, tuple[int, int]] = {}
    for number, rows in corrections.groupby("version"):
        answers = predicted(load(root, params, str(number)), rows["text"].tolist())
        wrong = sum(answer != label for answer, label in zip(answers, rows["label"], strict=True))
        found[str(number)] = (len(rows), wrong)
    return found
