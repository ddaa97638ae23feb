"""Which rows to label next: chosen from the pool, written for people, and ready to come back through ingest.

gleaner suggest 50 --label-studio label-studio.json
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core import annotation_fields, table
from pipeline.core.errors import UserError
from pipeline.core.params import Ingest, Params
from pipeline.core.stage import Paths, read_json, replace, write_json
from pipeline.labelling import facility_location, label_studio
from pipeline.models import classifier
from pipeline.models.embeddings import embed
from pipeline.sources.files import delimiter_of, kind_of


@dataclass(frozen=True)
class Files:
    """Where the suggestions go."""

    csv: Path
    label_studio: Path | None  # the tasks; the labelling config goes beside them


def suggest(count: int, files: Files, params: Params, paths: Paths) -> list[str]:
    """Write the ``count`` rows whose labels would help most; returns what to tell the user, never a row's text.

    Raises UserError where no classifier has been trained yet, where there are too few rows to choose from, and where a
    file would be overwritten: it may hold answers.
    """
    check_files(files, params.ingest)
    pool, gold, left_out = candidates(paths)
    check_count(count, len(pool), left_out)
    labels = read_json(paths.data("ingest") / "labels.json")
    model = load(paths, labels["labels"])
    probabilities = model.predict(pool["text"].tolist())
    texts = [*pool["text"], *gold["text"]]
    vectors = embed(texts, paths.data("pretrain") / "encoder", params.encoder, paths)
    taken = facility_location.choose(probabilities, vectors[: len(pool)], vectors[len(pool) :], count)
    rows = described(pool.iloc[taken], probabilities[taken], model.labels)
    table.write_csv(sheet(rows, params.ingest), files.csv, *written(files.csv, params.ingest))
    if files.label_studio:
        write_tasks(rows, labels, f"gleaner-{digest(paths)}", files.label_studio)
    return [
        f"{count} of {len(pool)} rows chosen{note(left_out)}, the most helpful first",
        *by_label(rows),
        *next_steps(files, params.ingest, paths),
    ]


def bundle(paths: Paths) -> Path:
    """The classifier that says what it is unsure of."""
    return paths.data("export") / "bundle"


def digest(paths: Paths) -> str:
    """A short name of the classifier, from the digests of all its files."""
    return classifier.sha256(bundle(paths) / classifier.MANIFEST)[:12]


def check_files(files: Files, params: Ingest) -> None:
    """Raise UserError for a file that is there already, and for what Label Studio or ingest could not read."""
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


def candidates(paths: Paths) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, int]]:
    """The rows of the pool to choose from, the gold rows, and how many rows of the pool are left out by reason.

    Of near duplicates one is enough, and none where one has a label; what annotators could not settle stays away.
    """
    if not (bundle(paths) / classifier.MANIFEST).exists():
        raise UserError(f"{bundle(paths)}: expected a trained classifier, found none; run `gleaner run` first")
    folder = paths.data("ingest")
    pool, gold = (table.read(folder / f"{name}.parquet") for name in ("unlabelled", "train"))
    rejected = pd.read_parquet(folder / "rejected.parquet")
    undecided = pool["id"].isin(rejected.loc[rejected["reason"].isin(annotation_fields.UNDECIDED), "id"])
    repeated = ~undecided & (pool["source_id"].isin(gold["source_id"]) | pool["source_id"].duplicated())
    left_out = {"undecided by annotators": int(undecided.sum()), "near duplicates": int(repeated.sum())}
    return pool[~undecided & ~repeated].reset_index(drop=True), gold, left_out


def check_count(count: int, rows: int, left_out: dict[str, int]) -> None:
    """Raise UserError for a number of rows that cannot be chosen."""
    if count < 1:
        raise UserError(f"N: expected at least 1 row to suggest, found {count}; ask for more")
    if not rows + sum(left_out.values()):
        raise UserError(
            "N: expected unlabelled rows to choose from, found an empty pool; name raw text in ingest.unlabelled and "
            "run `gleaner run`"
        )
    if count > rows:
        raise UserError(
            f"N: expected at most the {rows} rows of the pool{note(left_out)}, found {count}; ask for fewer"
        )


def note(left_out: dict[str, int]) -> str:
    """How many rows are not up for choice, in brackets, or nothing."""
    parts = [f"{number} {reason}" for reason, number in left_out.items() if number]
    return f" ({', '.join(parts)} left out)" if parts else ""


def load(paths: Paths, labels: list[str]) -> classifier.Classifier:
    """The classifier of the last run; its labels have to be those of the data."""
    model = classifier.load(bundle(paths))
    if set(model.labels) != set(labels):
        raise UserError(
            f"{bundle(paths)}: expected a classifier for the {len(labels)} labels of data/ingest, found one for "
            f"{len(model.labels)}; run `gleaner run` first"
        )
    return model


def described(rows: pd.DataFrame, probabilities: np.ndarray, labels: tuple[str, ...]) -> pd.DataFrame:
    """The rows with what the classifier says of them: likely_label, confidence, and why they were chosen."""
    first, second = np.argsort(-probabilities, axis=1, kind="stable")[:, :2].T
    own, other = (np.take_along_axis(probabilities, place[:, None], axis=1)[:, 0] for place in (first, second))
    why = [f"or {labels[place]} ({share:.2f})" for place, share in zip(second, other, strict=True)]
    return rows.assign(likely_label=[labels[place] for place in first], confidence=own.astype(float).round(4), why=why)


def sheet(rows: pd.DataFrame, params: Ingest) -> pd.DataFrame:
    """What people fill in, with the columns of their own data: a joined text stands in the first of its columns."""
    columns = params.columns
    empty = dict.fromkeys([*columns.text[1:], str(columns.label)], "")
    filled = pd.DataFrame({annotation_fields.ID: rows["id"], columns.text[0]: rows["text"]}).assign(**empty)
    added = rows[["likely_label", "confidence", "why"]]
    return filled.join(added.drop(columns=filled.columns, errors="ignore"))


def written(path: Path, params: Ingest) -> tuple[str, str]:
    """Delimiter and encoding of the sheet: those by which ingest will read it."""
    return delimiter_of(kind_of(path, params), params) or ",", params.encoding or "utf-8"


def write_tasks(rows: pd.DataFrame, labels: dict[str, Any], model: str, path: Path) -> None:
    """The tasks as JSON, and the labelling config beside them."""
    columns = zip(rows["text"], rows["id"], rows["likely_label"], rows["confidence"], strict=True)
    write_json([label_studio.task(*cells, model) for cells in columns], path)
    config = label_studio.config(labels["labels"], labels["descriptions"])
    replace(path.with_suffix(".xml"), lambda part: part.write_text(config, encoding="utf-8"))


def by_label(rows: pd.DataFrame) -> list[str]:
    """Chosen rows by likely label, the most frequent first."""
    counts = rows.groupby("likely_label")["confidence"].agg(["size", "mean"])
    counts = counts.sort_values("size", ascending=False, kind="stable")
    width = max(map(len, counts.index))
    return [
        f"  {label:<{width}}  {int(size):>4}  (confidence {mean:.2f} on average)"
        for label, size, mean in counts.itertuples()
    ]


def next_steps(files: Files, params: Ingest, paths: Paths) -> list[str]:
    """What to do with the files, for this project's source of data."""
    lines = [f"{files.csv}: fill in the column {params.columns.label}; an empty cell leaves its row unlabelled"]
    if len(params.columns.text) > 1:
        rest = ", ".join(params.columns.text[1:])
        lines.append(f"{files.csv}: the whole text is in {params.columns.text[0]}; leave {rest} empty")
    if files.label_studio:
        config = files.label_studio.with_suffix(".xml")
        lines.append(f'{files.label_studio}: import it into a project with {config}; export the answers as "JSON"')
    if params.source == "sql":
        back = f"load them into a table with these columns, and add a query with {annotation_fields.ID} to ingest.train"
    elif params.source == "huggingface":
        back = (
            f"add them to the dataset's training split with the column {annotation_fields.ID}, and set ingest.revision"
        )
    elif (paths.root / params.path).is_file():
        back = "ingest.path is one file; move it into a folder beside them, name that, and list all in ingest.train"
    elif not params.train:
        back = f"move them into {params.path}, all of which is read"
    else:
        listed = ", ".join([*params.train, files.csv.name])
        back = f"move them into {params.path} and list them in ingest.train, e.g. [{listed}]"
    return [*lines, f"answers: {back}; then `gleaner run`"]
