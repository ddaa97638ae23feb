"""The stage itself: errors and a sample explained by every method, the methods judged, the vectors mapped."""

import pandas as pd

from pipeline import attribution
from pipeline.core import table
from pipeline.core.params import Encoder, Explain
from pipeline.core.stage import Metrics, Paths, replace
from pipeline.stages.explain import classes, embedding_map, rows, tables, vectors
from pipeline.stages.explain.explained import best_first, explain, judge
from pipeline.stages.explain.faithfulness import trusted_of
from pipeline.stages.explain.page import page

SOURCES = ("ingest", "synonyms", "back_translate", "swaps", "pseudo_label")


def run(params: Explain, encoder: Encoder, paths: Paths) -> Metrics:
    """Explain, judge, map and write. The test split is looked at, and nothing is chosen by it."""
    model = attribution.load(paths.data("export") / "bundle", inside=True)
    test, train = rows.tested(paths), training(paths)
    found = explain(
        model, rows.surest_errors(test, params.errors), rows.sample(test, params.sample, params.seed), params
    )
    judged = judge(model, found, params)
    trusted = trusted_of(judged, list(found.of_sample))
    order = best_first(judged, trusted)
    near, points, by = mapped(train, test, found.errors, list(model.labels), params, encoder, paths)
    words = tables.by_word(found)
    drivers = classes.from_table(model, params.class_words)
    if order:
        seen = tables.of_classes(words, found.sample, order[0])
        drivers = pd.concat([classes.from_sample(seen, params.class_words), drivers], ignore_index=True)
    texts = train.set_index("id")["text"].reindex(near["neighbour"].unique()).to_dict()
    html = page(found, order, trusted, judged, drivers, near, texts)

    out = paths.data("explain")
    table.write_csv(judged, out / "faithfulness.csv")
    table.write_csv(drivers, out / "classes.csv")
    errors = tables.errors(found, order[0] if order else None, near)
    for name, frame in {"attributions": words, "errors": errors, "neighbours": near, "map": points}.items():
        write(frame, paths, name)
    replace(out / "why.html", lambda part: part.write_text(html, encoding="utf-8"))
    return tables.metrics(found, judged, trusted) | {"map_points": len(points), "vectors_by": by}


def training(paths: Paths) -> pd.DataFrame:
    """Every row that carried a label in training."""
    parts = [table.read(paths.data(stage) / "train.parquet") for stage in SOURCES]
    every = pd.concat([part[["id", "text", "label", "origin", "weight"]] for part in parts], ignore_index=True)
    return every[every["label"].notna() & every["weight"].gt(0)].reset_index(drop=True)


def mapped(
    train: pd.DataFrame,
    test: pd.DataFrame,
    wrong: pd.DataFrame,
    labels: list[str],
    params: Explain,
    encoder: Encoder,
    paths: Paths,
) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """The training rows nearest to each error, the points of the map, and what made their vectors; draws the map."""
    found, by = vectors.embedded([*train["text"], *test["text"]], encoder, paths)
    of_train, of_test = found[: len(train)], found[len(train) :]
    places = pd.Index(test["id"]).get_indexer(pd.Index(wrong["id"]))
    near = vectors.neighbours(wrong, of_test[places], train, of_train, params.neighbours)
    every = pd.concat([train.assign(kind=train["origin"], wrong=False), test.assign(kind="test")], ignore_index=True)
    taken = embedding_map.chosen(every, params.map.points, params.seed)
    points = every.iloc[taken][["id", "kind", "label", "predicted", "wrong"]].reset_index(drop=True)
    points[["x", "y"]] = embedding_map.lay_out(found[taken], params.map, params.seed)
    figure = embedding_map.draw(points, labels)
    target = paths.data("explain") / "map.png"
    replace(target, lambda part: figure.savefig(part, format="png", dpi=120, metadata={"Software": None}))
    return near, points, by


def write(frame: pd.DataFrame, paths: Paths, name: str) -> None:
    """One table of the stage's folder, whole or not at all."""
    replace(paths.data("explain") / f"{name}.parquet", lambda part: frame.to_parquet(part, index=False))
