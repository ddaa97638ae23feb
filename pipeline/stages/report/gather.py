"""Reads the outputs of all stages into one object; computes nothing."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import read_yaml
from pipeline.core.secrets import hide_passwords
from pipeline.core.stage import Paths, read_json

TRAINING = ("ingest", "synonyms", "back_translate", "swaps", "pseudo_label")  # stages that write training rows
IMAGES = ("evaluate/confusion", "finetune/history", "explain/map")  # all other figures are drawn in the page
# Columns of CSV files that hold names, which may look like numbers.
NAME_COLUMNS = ("attribute", "group", "class", "from", "to", "term", "gaining_label")


@dataclass(frozen=True)
class ExplainOutputs:
    """The outputs of the stage explain; no word of a text."""

    metrics: dict[str, Any]
    errors: pd.DataFrame  # a row for each of the most confident test errors
    faithfulness: pd.DataFrame  # a row for each method, measure and method compared with


@dataclass(frozen=True)
class Results:
    """The outputs of a whole run, as the stages wrote them."""

    pipeline: dict[str, Any]  # dvc.yaml
    params: dict[str, Any]  # params.yaml, passwords hidden
    labels: list[str]
    descriptions: dict[str, str]  # label -> what it means, where the params say so
    metrics: dict[str, dict[str, Any]]  # stage -> dotted name -> value
    training: pd.DataFrame  # id, label, origin and weight of every row that the shipped model learned from; no text
    test: pd.DataFrame  # id and label of every test row; no text
    rejected: dict[str, int]  # reason -> rows
    predictions: pd.DataFrame  # id, label, predicted, confidence, reason (why the label is not given)
    per_class: pd.DataFrame
    coverage: pd.DataFrame  # a row for each coverage of the test rows; none where the model does not abstain
    new_classes: pd.DataFrame  # a row for each text of the pool in a candidate for a new class; no text
    groups: pd.DataFrame
    rounds: pd.DataFrame
    accepted_classes: pd.DataFrame  # of pseudo-labelling: a row for each round and class
    accepted_groups: pd.DataFrame  # a row for each group of the pool, in the round that was kept
    history: pd.DataFrame
    swapped_pairs: pd.DataFrame  # of the counterfactual check: a row for each pair of groups
    swapped_terms: pd.DataFrame  # a row for each term
    auc: pd.DataFrame  # a row for each subgroup and kind of AUC
    augmentations: pd.DataFrame  # a row for each stage and group
    images: dict[str, str]  # "stage/name" -> data URI
    explanations: ExplainOutputs


def gather(paths: Paths) -> Results:
    """Everything that the report shows. Raises UserError that names the first file that is missing."""
    pipeline = read_yaml(paths.root / "dvc.yaml")
    classes = read_json(paths.data("ingest") / "labels.json")
    return Results(
        pipeline=pipeline,
        params=mask_passwords(read_yaml(paths.root / "params.yaml")),
        labels=classes["labels"],
        descriptions=classes["descriptions"],
        metrics=read_metrics(pipeline, paths),
        training=read_training_rows(paths),
        test=table.read(paths.data("ingest") / "test.parquet")[["id", "label"]],
        rejected=read_rejected(paths.data("ingest") / "rejected.parquet"),
        predictions=pd.read_parquet(
            require_file(paths.data("evaluate") / "predictions.parquet"),
            columns=["id", "label", "predicted", "confidence", "reason"],
        ),
        per_class=read_csv(paths.data("evaluate") / "per_class.csv"),
        coverage=read_csv(paths.data("evaluate") / "coverage.csv"),
        new_classes=pd.read_parquet(require_file(paths.data("export") / "new_classes.parquet")),
        groups=read_csv(paths.data("fairness") / "groups.csv"),
        rounds=read_csv(paths.data("pseudo_label") / "rounds.csv"),
        accepted_classes=read_csv(paths.data("pseudo_label") / "classes.csv"),
        accepted_groups=read_csv(paths.data("pseudo_label") / "groups.csv"),
        history=read_csv(paths.data("finetune") / "history.csv"),
        swapped_pairs=read_csv(paths.data("counterfactual") / "pairs.csv"),
        swapped_terms=read_csv(paths.data("counterfactual") / "terms.csv"),
        auc=read_csv(paths.data("fairness") / "auc.csv"),
        augmentations=read_csv(paths.data("fairness") / "augmentations.csv"),
        images={name: data_uri(paths.root / "data" / f"{name}.png") for name in IMAGES},
        explanations=read_explanations(paths.data("explain")),
    )


def read_metrics(pipeline: dict[str, Any], paths: Paths) -> dict[str, dict[str, Any]]:
    """Stage -> its metrics by dotted name, for every stage of dvc.yaml but the report itself."""
    stages = [stage for stage in pipeline["stages"] if stage != "report"]
    return {stage: flatten_metrics(read_json(paths.data(stage) / "metrics.json")) for stage in stages}


def read_training_rows(paths: Paths) -> pd.DataFrame:
    """Id, label, origin and weight of the rows that the shipped model learned from; a probe learns from gold alone."""
    columns = ["id", "label", "origin", "weight"]
    tables = [table.read_columns(paths.data(stage) / "train.parquet", columns) for stage in TRAINING]
    rows = pd.concat(tables, ignore_index=True)
    is_probe = read_json(paths.data("export") / "metrics.json").get("shipped", {}).get("model") == "probe"
    return rows[rows["origin"].eq("gold") if is_probe else rows["weight"].gt(0)].reset_index(drop=True)


def read_explanations(folder: Path) -> ExplainOutputs:
    """The outputs of the stage explain. Raises UserError where one is missing."""
    metrics = read_json(folder / "metrics.json")
    errors, faithfulness = require_file(folder / "errors.parquet"), require_file(folder / "faithfulness.csv")
    return ExplainOutputs(metrics, pd.read_parquet(errors), pd.read_csv(faithfulness, keep_default_na=False))


def read_texts(paths: Paths, ids: list[str], split: str = "test") -> dict[str, str]:
    """The texts of these rows of a split, by id: for the copy of the page that stays where the data is."""
    rows = table.read(paths.data("ingest") / f"{split}.parquet")
    quoted = rows[rows["id"].isin(ids)]
    return dict(zip(quoted["id"], quoted["text"], strict=True))


def require_file(path: Path) -> Path:
    """The path itself. Raises UserError if no earlier stage has written the file."""
    if not path.exists():
        raise UserError(f"{path}: expected the output of an earlier stage, found no such file; run `dvc repro`")
    return path


def read_csv(path: Path) -> pd.DataFrame:
    """A table that a stage wrote for people, with names as they were before they were made safe for spreadsheets.

    Only an empty cell is a missing value, because a group may well be called NA.
    """
    rows = pd.read_csv(
        require_file(path), keep_default_na=False, na_values=[""], dtype=dict.fromkeys(NAME_COLUMNS, "str")
    )
    for name in rows.columns.intersection(list(NAME_COLUMNS)):
        rows[name] = rows[name].map(table.strip_apostrophe, na_action="ignore")
    return rows


def read_rejected(path: Path) -> dict[str, int]:
    """Rows by the reason for which ingest could not use them, most frequent first."""
    reasons = pd.read_parquet(require_file(path), columns=["reason"])["reason"]
    counts = {str(reason): int(rows) for reason, rows in reasons.value_counts().items()}
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def data_uri(path: Path) -> str:
    """A PNG as a data URI, so that the page needs no other file."""
    return "data:image/png;base64," + base64.b64encode(require_file(path).read_bytes()).decode()


def flatten_metrics(metrics: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested metrics by dotted name: ``{"a": {"b": 1}}`` becomes ``{"a.b": 1}``."""
    flat: dict[str, Any] = {}
    for key, value in metrics.items():
        if isinstance(value, dict):
            flat |= flatten_metrics(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def mask_passwords(value: Any) -> Any:
    """The params with the password of every URL hidden, because the report is stored with the model and shared."""
    if isinstance(value, dict):
        return {key: mask_passwords(item) for key, item in value.items()}
    if isinstance(value, list):
        return [mask_passwords(item) for item in value]
    return hide_passwords(value) if isinstance(value, str) else value
