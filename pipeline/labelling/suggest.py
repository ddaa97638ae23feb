"""Suggests rows to label next: chooses them from the pool and writes them in a form that ingest reads back.

gleaner suggest 50 --label-studio label-studio.json
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core import annotation_fields, table
from pipeline.core.digests import file_sha256
from pipeline.core.errors import UserError
from pipeline.core.params import Ingest, Params
from pipeline.core.stage import Paths, read_json, write_atomically, write_json
from pipeline.labelling import facility_location, label_studio, new_classes
from pipeline.models import classifier
from pipeline.models.embeddings import embed
from pipeline.sources.files import delimiter_of, file_format


@dataclass(frozen=True)
class SuggestionFiles:
    """The files to write."""

    csv: Path
    label_studio: Path | None  # the tasks; the labelling config goes beside them, with the ending .xml
    blind: bool = False  # without the model's predictions, which annotators tend to confirm


def suggest(count: int, files: SuggestionFiles, params: Params, paths: Paths) -> list[str]:
    """Write the ``count`` rows whose labels would help most; returns lines for the user, without any row's text.

    Up to three rows of each candidate for a new class are added behind them.
    Raises UserError if no classifier has been trained yet, if there are too few rows to choose from, or if a file
    exists already, because it may hold answers.
    """
    check_files(files, params.ingest)
    pool, gold, left_out = load_candidates(paths)
    check_count(count, len(pool), left_out)
    labels = read_json(paths.data("ingest") / "labels.json")
    model = load_classifier(paths, labels["labels"])
    probabilities = model.predict(pool["text"].tolist())
    texts = [*pool["text"], *gold["text"]]
    vectors = embed(texts, paths.data("pretrain") / "encoder", params.encoder, paths)
    chosen = facility_location.choose_rows(probabilities, vectors[: len(pool)], vectors[len(pool) :], count)
    rows = add_predictions(pool.iloc[chosen], probabilities[chosen], model.labels)
    candidates = new_classes.read_new_classes(pool, paths)
    typical = new_classes.rows_to_label(candidates, rows)
    if len(typical):
        predicted = add_predictions(typical, model.predict(typical["text"].tolist()), model.labels)
        rows = pd.concat([rows, predicted.assign(why=new_classes.why(typical))], ignore_index=True)
    sheet = answer_sheet(rows, params.ingest, files.blind)
    table.write_csv(sheet, files.csv, *sheet_format(files.csv, params.ingest))
    if files.label_studio:
        write_tasks(rows, labels, None if files.blind else f"gleaner-{bundle_version(paths)}", files.label_studio)
    return [
        f"{count} of {len(pool)} rows chosen{left_out_note(left_out)}, the most helpful first",
        *count_by_label(rows.head(count)),
        *new_classes.describe_candidates(candidates, gold),
        *([f"{len(typical)} rows of them are at the end of the sheet"] if len(typical) else []),
        *next_steps(files, params.ingest, paths),
    ]


def bundle_folder(paths: Paths) -> Path:
    """The folder of the classifier of the last run."""
    return paths.data("export") / "bundle"


def bundle_version(paths: Paths) -> str:
    """A short digest of the classifier, from the manifest that has the digests of all its files."""
    return file_sha256(bundle_folder(paths) / classifier.MANIFEST)[:12]


def check_files(files: SuggestionFiles, params: Ingest) -> None:
    """Raises UserError if a file exists already, or if Label Studio or ingest could not read what would be written."""
    if not params.columns.label:
        raise UserError("ingest.columns.label: expected the column that answers are written into, found null; name one")
    tasks = files.label_studio
    if tasks and tasks.suffix != ".json":
        raise UserError(f"--label-studio: expected a file that ends in .json, found {tasks}; rename it")
    if params.source == "files" and params.format not in ("auto", "csv", "tsv"):
        raise UserError(
            f"ingest.format: expected auto, csv or tsv, which can read a sheet of answers, found {params.format}; "
            "set it to auto, which goes by the files' endings"
        )
    for path in (files.csv, *([tasks, tasks.with_suffix(".xml")] if tasks else [])):
        if path.exists():
            raise UserError(f"{path}: expected no such file, found one that may hold answers; move it or name another")


def load_candidates(paths: Paths) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, int]]:
    """The rows of the pool to choose from, the gold rows, and how many rows of the pool are left out by reason.

    Near duplicates of a labelled row or of another row of the pool are left out, and so are rows on which annotators
    could not agree. Raises UserError if no classifier has been trained yet.
    """
    if not (bundle_folder(paths) / classifier.MANIFEST).exists():
        raise UserError(f"{bundle_folder(paths)}: expected a trained classifier, found none; run `gleaner run` first")
    folder = paths.data("ingest")
    pool, gold = (table.read(folder / f"{name}.parquet") for name in ("unlabelled", "train"))
    rejected = pd.read_parquet(folder / "rejected.parquet")
    undecided = pool["id"].isin(rejected.loc[rejected["reason"].isin(annotation_fields.UNDECIDED), "id"])
    repeated = ~undecided & (pool["source_id"].isin(gold["source_id"]) | pool["source_id"].duplicated())
    left_out = {"undecided by annotators": int(undecided.sum()), "near duplicates": int(repeated.sum())}
    return pool[~undecided & ~repeated].reset_index(drop=True), gold, left_out


def check_count(count: int, rows: int, left_out: dict[str, int]) -> None:
    """Raises UserError for a number of rows that cannot be chosen from ``rows``."""
    if count < 1:
        raise UserError(f"N: expected at least 1 row to suggest, found {count}; ask for more")
    if not rows + sum(left_out.values()):
        raise UserError(
            "N: expected unlabelled rows to choose from, found an empty pool; name raw text in ingest.unlabelled and "
            "run `gleaner run`"
        )
    if count > rows:
        raise UserError(
            f"N: expected at most the {rows} rows of the pool{left_out_note(left_out)}, found {count}; ask for fewer"
        )


def left_out_note(left_out: dict[str, int]) -> str:
    """How many rows are left out, in brackets; empty if none is."""
    parts = [f"{number} {reason}" for reason, number in left_out.items() if number]
    return f" ({', '.join(parts)} left out)" if parts else ""


def load_classifier(paths: Paths, labels: list[str]) -> classifier.Classifier:
    """The classifier of the last run. Raises UserError if its labels are not those of the data."""
    model = classifier.load(bundle_folder(paths))
    if set(model.labels) != set(labels):
        raise UserError(
            f"{bundle_folder(paths)}: expected a classifier for the {len(labels)} labels of data/ingest, found one for "
            f"{len(model.labels)}; run `gleaner run` first"
        )
    return model


def add_predictions(rows: pd.DataFrame, probabilities: np.ndarray, labels: tuple[str, ...]) -> pd.DataFrame:
    """The rows with the classifier's prediction: likely_label, confidence (0 to 1), and in ``why`` the second label.

    ``probabilities`` (rows, classes), float32, 0 to 1.
    """
    first, second = np.argsort(-probabilities, axis=1, kind="stable")[:, :2].T
    confidence, runner_up = (np.take_along_axis(probabilities, best[:, None], axis=1)[:, 0] for best in (first, second))
    return rows.assign(
        likely_label=[labels[best] for best in first],
        confidence=confidence.astype(float).round(4),
        why=[f"or {labels[best]} ({share:.2f})" for best, share in zip(second, runner_up, strict=True)],
    )


def answer_sheet(rows: pd.DataFrame, params: Ingest, blind: bool) -> pd.DataFrame:
    """The sheet for people to fill in, with the columns of their data, and the predictions unless ``blind``.

    A text that was joined from several columns is in the first of them.
    """
    columns = params.columns
    empty = dict.fromkeys([*columns.text[1:], str(columns.label)], "")
    filled = pd.DataFrame({annotation_fields.ID: rows["id"], columns.text[0]: rows["text"]}).assign(**empty)
    added = rows[[] if blind else ["likely_label", "confidence", "why"]]
    return filled.join(added.drop(columns=filled.columns, errors="ignore"))


def sheet_format(path: Path, params: Ingest) -> tuple[str, str]:
    """Delimiter and encoding by which ingest will read the sheet."""
    return delimiter_of(file_format(path, params), params) or ",", params.encoding or "utf-8"


def write_tasks(rows: pd.DataFrame, labels: dict[str, Any], model: str | None, path: Path) -> None:
    """Write the tasks as JSON, with the predictions of ``model`` if there is one, and the labelling config beside."""
    tasks = [label_studio.make_task(*cells) for cells in zip(rows["text"], rows["id"], strict=True)]
    if model is not None:
        for task, label, score in zip(tasks, rows["likely_label"], rows["confidence"], strict=True):
            task["predictions"] = [label_studio.make_prediction(label, score, model)]
    write_json(tasks, path)
    config = label_studio.labelling_config(labels["labels"], labels["descriptions"])
    write_atomically(path.with_suffix(".xml"), lambda part: part.write_text(config, encoding="utf-8"))


def count_by_label(rows: pd.DataFrame) -> list[str]:
    """A line for each likely label with its number of rows and mean confidence, the most frequent first."""
    counts = rows.groupby("likely_label")["confidence"].agg(["size", "mean"])
    counts = counts.sort_values("size", ascending=False, kind="stable")
    width = max(map(len, counts.index))
    return [
        f"  {label:<{width}}  {int(size):>4}  (confidence {mean:.2f} on average)"
        for label, size, mean in counts.itertuples()
    ]


def next_steps(files: SuggestionFiles, params: Ingest, paths: Paths) -> list[str]:
    """Lines on what to do with the files, for this project's source of data."""
    lines = [f"{files.csv}: fill in the column {params.columns.label}; an empty cell leaves its row unlabelled"]
    if len(params.columns.text) > 1:
        rest = ", ".join(params.columns.text[1:])
        lines.append(f"{files.csv}: the whole text is in {params.columns.text[0]}; leave {rest} empty")
    if files.label_studio:
        config = files.label_studio.with_suffix(".xml")
        lines.append(f'{files.label_studio}: import it into a project with {config}; export the answers as "JSON"')
    return [*lines, f"answers: {way_back(files, params, paths)}; then `gleaner run`"]


def way_back(files: SuggestionFiles, params: Ingest, paths: Paths) -> str:
    """What to do so that ingest reads the answers."""
    if params.source == "sql":
        return f"load them into a table with these columns, and add a query with {annotation_fields.ID} to ingest.train"
    if params.source == "huggingface":
        return (
            f"add them to the dataset's training split with the column {annotation_fields.ID}, and set ingest.revision"
        )
    if (paths.root / params.path).is_file():
        return "ingest.path is one file; move it into a folder beside them, name that, and list all in ingest.train"
    if not params.train:
        return f"move them into {params.path}, all of which is read"
    listed = ", ".join([*params.train, files.csv.name])
    return f"move them into {params.path} and list them in ingest.train, e.g. [{listed}]"
