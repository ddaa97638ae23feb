"""The stage itself: explain errors and a sample by every method, measure the methods, map the vectors, write."""

import numpy as np
import pandas as pd

from pipeline import attribution
from pipeline.core import table
from pipeline.core.params import Encoder, Explain
from pipeline.core.stage import Metrics, Paths, write_atomically
from pipeline.models.bundle_settings import shipped_model
from pipeline.stages.explain import classes, embedding_map, rows, tables, vectors
from pipeline.stages.explain.explanations import explain_rows, measure_methods, rank_methods
from pipeline.stages.explain.faithfulness import trusted_methods
from pipeline.stages.explain.page import render_page

SOURCES = ("ingest", "synonyms", "back_translate", "swaps", "pseudo_label")


def run(params: Explain, encoder: Encoder, paths: Paths) -> Metrics:
    """Explain, measure, map and write. The stage reads the test split, but chooses nothing on it."""
    model = attribution.load(paths.data("export") / "bundle", with_internals=True, root=paths.root)
    test, train = rows.read_test_rows(paths), read_training_rows(paths)
    errors, sample = rows.surest_errors(test, params.errors), rows.draw_sample(test, params.sample, params.seed)
    explanations = explain_rows(model, errors, sample, params)
    comparison = measure_methods(model, explanations, params)
    trusted = trusted_methods(comparison, list(explanations.sample_attributions))
    order = rank_methods(comparison, trusted)
    embeddings, vectors_by = vectors.embed_texts([*train["text"], *test["text"]], encoder, paths)
    nearest = nearest_to_errors(errors, test, train, embeddings, params.neighbours)
    points = map_points(test, train, embeddings, params)
    draw_map(points, list(model.labels), paths)
    words = tables.word_table(explanations)
    drivers = classes.drivers_from_table(model, params.class_words)
    if order:
        sample_words = tables.sample_words_by_class(words, sample, order[0])
        drivers = pd.concat([classes.drivers_from_sample(sample_words, params.class_words), drivers], ignore_index=True)
    texts = train.set_index("id")["text"].reindex(nearest["neighbour"].unique()).to_dict()
    html = render_page(explanations, order, trusted, comparison, drivers, nearest, texts)

    out = paths.data("explain")
    table.write_csv(comparison, out / "faithfulness.csv")
    table.write_csv(drivers, out / "classes.csv")
    error_rows = tables.error_table(explanations, order[0] if order else None, nearest)
    for name, frame in {"attributions": words, "errors": error_rows, "neighbours": nearest, "map": points}.items():
        write_table(frame, paths, name)
    write_atomically(out / "why.html", lambda part: part.write_text(html, encoding="utf-8"))
    metrics = tables.summarise(explanations, comparison, trusted)
    return metrics | {"map_points": len(points), "vectors_by": vectors_by}


def read_training_rows(paths: Paths) -> pd.DataFrame:
    """Every row that the shipped model learned from: those with a label and a weight, or for the probe gold rows."""
    columns = ["id", "text", "label", "origin", "weight"]
    parts = [table.read_columns(paths.data(stage) / "train.parquet", columns) for stage in SOURCES]
    train = pd.concat(parts, ignore_index=True)
    is_probe = shipped_model(paths.data("export") / "bundle") == "probe"
    learned = train["origin"].eq("gold") if is_probe else train["weight"].gt(0)
    return train[train["label"].notna() & learned].reset_index(drop=True)


def nearest_to_errors(
    errors: pd.DataFrame, test: pd.DataFrame, train: pd.DataFrame, embeddings: np.ndarray, count: int
) -> pd.DataFrame:
    """The ``count`` training rows nearest to each error: the table of `nearest_rows`.

    ``embeddings`` (training and test rows, width), float32, are the unit vectors of the training rows, then of the test
    rows.
    """
    train_vectors, test_vectors = embeddings[: len(train)], embeddings[len(train) :]
    positions = pd.Index(test["id"]).get_indexer(pd.Index(errors["id"]))
    return vectors.nearest_rows(errors, test_vectors[positions], train, train_vectors, count)


def map_points(test: pd.DataFrame, train: pd.DataFrame, embeddings: np.ndarray, params: Explain) -> pd.DataFrame:
    """The points of the map: ``id, kind, label, predicted, wrong, x, y``.

    ``embeddings`` (training and test rows, width), float32, are the unit vectors of the training rows, then of the test
    rows.
    """
    candidates = pd.concat(
        [train.assign(kind=train["origin"], wrong=False), test.assign(kind="test")], ignore_index=True
    )
    chosen = embedding_map.choose_points(candidates, params.map.points, params.seed)
    points = candidates.iloc[chosen][["id", "kind", "label", "predicted", "wrong"]].reset_index(drop=True)
    points[["x", "y"]] = embedding_map.lay_out(embeddings[chosen], params.map, params.seed)
    return points


def draw_map(points: pd.DataFrame, labels: list[str], paths: Paths) -> None:
    """Draw the map as map.png in the stage's folder."""
    figure = embedding_map.draw(points, labels)
    target = paths.data("explain") / "map.png"
    write_atomically(target, lambda part: figure.savefig(part, format="png", dpi=120, metadata={"Software": None}))


def write_table(frame: pd.DataFrame, paths: Paths, name: str) -> None:
    """Write one table to the stage's folder, whole or not at all."""
    write_atomically(paths.data("explain") / f"{name}.parquet", lambda part: frame.to_parquet(part, index=False))
