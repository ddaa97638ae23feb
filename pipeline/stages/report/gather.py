"""What the stages before left behind, read into one place; nothing is computed here."""

import base64
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import read_yaml
from pipeline.core.stage import Paths, read_json
from pipeline.stages.report import explanations

TRAINING = ("ingest", "synonyms", "back_translate", "swaps", "pseudo_label")  # stages that write training rows
IMAGES = ("evaluate/confusion", "finetune/history", "explain/map")  # everything else is drawn in the page
# Columns of CSV files that hold names, even where those look like numbers.
NAMES = ("attribute", "group", "class", "from", "to", "term", "gaining_label")


@dataclass(frozen=True)
class Results:
    """The outputs of a whole run, as the stages wrote them."""

    pipeline: dict[str, Any]  # dvc.yaml
    params: dict[str, Any]  # params.yaml, passwords masked
    labels: list[str]
    descriptions: dict[str, str]  # label -> what it means, where the params say so
    metrics: dict[str, dict[str, Any]]  # stage -> dotted name -> value
    training: pd.DataFrame  # id, label, origin and weight of every training row; no text
    test: pd.DataFrame  # id and label of every test row; no text
    rejected: dict[str, int]  # reason -> rows
    predictions: pd.DataFrame  # id, label, predicted, confidence
    per_class: pd.DataFrame
    groups: pd.DataFrame
    rounds: pd.DataFrame
    accepted_classes: pd.DataFrame  # of pseudo-labelling: a row a round and class
    accepted_groups: pd.DataFrame  # a row a group of the pool, in the round that was kept
    history: pd.DataFrame
    swapped_pairs: pd.DataFrame  # of the counterfactual check: a row a pair of groups
    swapped_terms: pd.DataFrame  # a row a term
    auc: pd.DataFrame  # a row a subgroup and kind
    augmentations: pd.DataFrame  # a row a stage and group
    images: dict[str, str]  # "stage/name" -> data URI
    explained: explanations.Explained


def gather(paths: Paths) -> Results:
    """Read everything that the report shows. Raises UserError that names the first file that is missing."""
    pipeline = read_yaml(paths.root / "dvc.yaml")
    classes = read_json(paths.data("ingest") / "labels.json")
    return Results(
        pipeline=pipeline,
        params=masked(read_yaml(paths.root / "params.yaml")),
        labels=classes["labels"],
        descriptions=classes["descriptions"],
        metrics={
            stage: dotted(read_json(paths.data(stage) / "metrics.json"))
            for stage in pipeline["stages"]
            if stage != "report"
        },
        training=pd.concat(
            [
                table.read(paths.data(stage) / "train.parquet")[["id", "label", "origin", "weight"]]
                for stage in TRAINING
            ],
            ignore_index=True,
        ),
        test=table.read(paths.data("ingest") / "test.parquet")[["id", "label"]],
        rejected=read_rejected(paths.data("ingest") / "rejected.parquet"),
        predictions=pd.read_parquet(
            existing(paths.data("evaluate") / "predictions.parquet"),
            columns=["id", "label", "predicted", "confidence"],
        ),
        per_class=read_csv(paths.data("evaluate") / "per_class.csv"),
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
        explained=explanations.read(paths),
    )


def read_texts(paths: Paths, ids: list[str]) -> dict[str, str]:
    """The texts of these test rows, by id: for the copy of the page that stays where the data is."""
    test = table.read(paths.data("ingest") / "test.parquet")
    shown = test[test["id"].isin(ids)]
    return dict(zip(shown["id"], shown["text"], strict=True))


def existing(path: Path) -> Path:
    """The path itself, if an earlier stage has written it."""
    if not path.exists():
        raise UserError(f"{path}: expected the output of an earlier stage, found no such file; run `dvc repro`")
    return path


def read_csv(path: Path) -> pd.DataFrame:
    """A table that a stage wrote for people. Only an empty cell is a missing one: a group may well be called NA.

    Names come back as they were before a spreadsheet was kept from running them.
    """
    rows = pd.read_csv(existing(path), keep_default_na=False, na_values=[""], dtype=dict.fromkeys(NAMES, "str"))
    for name in rows.columns.intersection(list(NAMES)):
        rows[name] = rows[name].map(table.as_written, na_action="ignore")
    return rows


def read_rejected(path: Path) -> dict[str, int]:
    """Rows by the reason for which ingest could not use them, most frequent first."""
    reasons = pd.read_parquet(existing(path), columns=["reason"])["reason"]
    counts = {str(reason): int(rows) for reason, rows in reasons.value_counts().items()}
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def data_uri(path: Path) -> str:
    """A PNG as a data URI, so that the page needs no other file."""
    return "data:image/png;base64," + base64.b64encode(existing(path).read_bytes()).decode()


def dotted(metrics: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested metrics flattened: ``{"a": {"b": 1}}`` becomes ``{"a.b": 1}``."""
    flat: dict[str, Any] = {}
    for key, value in metrics.items():
        if isinstance(value, dict):
            flat |= dotted(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def masked(value: Any) -> Any:
    """The params with the password of every URL hidden: the report is stored with the model and passed around."""
    if isinstance(value, dict):
        return {key: masked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [masked(item) for item in value]
    return re.sub(r"(\w+://[^\s/:@]*):[^\s/@]+@", r"\1:***@", value) if isinstance(value, str) else value
