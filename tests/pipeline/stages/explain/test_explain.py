"""The explain stage on a tiny model trained to find a keyword: what it finds and writes, twice the same, no leaks."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline import attribution
from pipeline.core import table
from pipeline.core.params import Params
from pipeline.core.stage import Paths, write_json
from pipeline.models import classifier, network
from pipeline.models.onnx_export import export_onnx
from pipeline.models.onnx_file import LOGITS
from pipeline.stages import explain
from pipeline.stages.explain import faithfulness
from tests.support.explaining import KEYWORDS, LABELS, add_word_head, planted_texts, train_planted
from tests.support.finetuning import Change, Rows

pytestmark = pytest.mark.slow
CANARY = "zanzibarine"
QUICK: dict[str, Any] = {"errors": 4, "sample": 24, "lime_samples": 60, "bootstrap": 200, "steps": 8}
WORDLESS = {"errors.parquet", "neighbours.parquet", "map.parquet", "map.png", "faithfulness.csv", "metrics.json"}


def other_label(label: str) -> str:
    return LABELS[1 - LABELS.index(label)]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path, rows: Rows) -> Paths:
    """All inputs of the stage: four test rows have the wrong label, and a training row is the twin of one of them."""
    root = tmp_path_factory.mktemp("project")
    paths = Paths(root)
    pairs = planted_texts(60, seed=50)
    wrong = [(f"{text} {CANARY}", other_label(label)) for text, label in planted_texts(4, seed=60)]
    twin = (wrong[0][0], wrong[0][1])
    parts = {
        "ingest": (planted_texts(16, seed=70), "gold"),
        "pseudo_label": ([*planted_texts(12, seed=80), twin], "pseudo"),
    }
    for stage in ("ingest", "synonyms", "back_translate", "swaps", "pseudo_label"):
        content, origin = parts.get(stage, ([], "synonym"))
        table.write(rows(content, origin), paths.data(stage) / "train.parquet")
    test = rows([*pairs, *wrong])
    table.write(test, paths.data("ingest") / "test.parquet")
    shutil.copytree(tiny_encoder, paths.data("pretrain") / "encoder")
    model = add_word_head(train_planted(tiny_encoder, root / "model"), scale=0.05)
    bundle = paths.data("export") / "bundle"
    shutil.copytree(model, bundle)
    net, tokenizer, about = network.load(model)
    tokenizer.backend_tokenizer.save(str(bundle / "tokenizer.json"))
    export_onnx(net, bundle / "model.onnx", LOGITS)
    write_json(about | {"temperature": 1.0, "pad_id": 0, "serve": "float32", "lineage": {}}, bundle / "classifier.json")
    classifier.seal(bundle)
    scores = classifier.load(bundle).predict(test["text"].tolist())
    predictions = test[["id", "label"]].assign(
        predicted=[LABELS[i] for i in scores.argmax(1)], confidence=scores.max(1), reason=None
    )
    paths.data("evaluate").mkdir()
    predictions.to_parquet(paths.data("evaluate") / "predictions.parquet")
    return paths


@pytest.fixture(scope="module")
def settings(params: Change) -> Params:
    return params({"explain": QUICK})


@pytest.fixture(scope="module")
def metrics(paths: Paths, settings: Params) -> dict[str, Any]:
    measured = explain.run(settings.explain, settings.encoder, paths)
    write_json(measured, paths.data("explain") / "metrics.json")
    return measured


def output_digests(paths: Paths) -> dict[str, str]:
    """The digest of each file that the stage wrote."""
    files = sorted(path for path in paths.data("explain").iterdir())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.suffix != ".json"}


def test_the_surest_errors_are_explained_by_their_keyword(paths: Paths, metrics: dict[str, Any]) -> None:
    errors = pd.read_parquet(paths.data("explain") / "errors.parquet")
    assert metrics["errors"] == len(errors) == 4
    assert (errors["predicted"] != errors["label"]).all()
    words = pd.read_parquet(paths.data("explain") / "attributions.parquet")
    part = words[words["role"].eq("error") & words["method"].eq("integrated_gradients")]
    best = part.loc[part.groupby("id")["attribution"].idxmax()].set_index("id")["word"]
    assert [best[id] for id in errors["id"]] == [KEYWORDS[label] for label in errors["predicted"]]
    texts = table.read(paths.data("ingest") / "test.parquet").set_index("id")["text"]
    assert all(texts[row["id"]][row["start"] : row["end"]] == row["word"] for row in words.to_dict("records"))


def test_errors_have_the_positions_and_shares_of_their_words(paths: Paths, metrics: dict[str, Any]) -> None:
    texts = table.read(paths.data("ingest") / "test.parquet").set_index("id")["text"]
    for row in pd.read_parquet(paths.data("explain") / "errors.parquet").to_dict("records"):
        words = [texts[row["id"]][start:end] for start, end in zip(row["starts"], row["ends"], strict=True)]
        assert words == texts[row["id"]].split() and row["method"] in metrics["better_than_random"]
        assert words[row["shares"].argmax()] == KEYWORDS[row["predicted"]]
        assert np.abs(row["shares"]).sum() == pytest.approx(1)


def test_methods_that_find_the_keyword_are_better_than_chance_and_each_measure_has_its_interval(
    metrics: dict[str, Any],
) -> None:
    assert {"integrated_gradients", "lime"} <= set(metrics["better_than_random"])
    for method in ("integrated_gradients", "rollout", "lime"):
        for measure in faithfulness.MEASURES:
            for name in (measure, f"{measure}_over_random"):
                assert metrics[method][f"{name}_low"] <= metrics[method][name] <= metrics[method][f"{name}_high"]
    assert metrics["integrated_gradients"]["comprehensiveness_over_random_low"] > 0.1
    assert metrics["integrated_gradients"]["unexplained_max"] < 0.15


def test_two_runs_write_the_same_bytes(paths: Paths, metrics: dict[str, Any], settings: Params) -> None:
    first = output_digests(paths)
    shutil.rmtree(paths.scratch("embeddings"))
    assert explain.run(settings.explain, settings.encoder, paths) == metrics
    assert output_digests(paths) == first
    assert set(first) == {*(WORDLESS - {"metrics.json"}), "attributions.parquet", "classes.csv", "why.html"}


def test_words_of_the_texts_are_in_three_files_only(paths: Paths, metrics: dict[str, Any]) -> None:
    folder = paths.data("explain")
    for name in WORDLESS:
        assert CANARY.encode() not in (folder / name).read_bytes(), name
    for frame in (pd.read_parquet(folder / name) for name in WORDLESS if name.endswith(".parquet")):
        assert not frame.astype(str).apply(lambda column: column.str.contains(f"{CANARY}|courier")).any(axis=None)
    assert CANARY in (folder / "why.html").read_text()
    assert CANARY in pd.read_parquet(folder / "attributions.parquet")["word"].tolist()


def test_the_twin_among_the_training_rows_is_the_nearest(paths: Paths, metrics: dict[str, Any]) -> None:
    near = pd.read_parquet(paths.data("explain") / "neighbours.parquet")
    twin = table.read(paths.data("pseudo_label") / "train.parquet").iloc[-1]
    first = near[near["neighbour"].eq(twin["id"]) & near["rank"].eq(1)].iloc[0]
    assert (first["origin"], first["label"]) == ("pseudo", twin["label"])
    assert first["similarity"] == pytest.approx(1, abs=1e-5)
    assert (near.groupby("id")["similarity"].diff().dropna() <= 1e-7).all()
    assert metrics["vectors_by"] == "the fine-tuned encoder"


def test_each_class_is_driven_by_its_keyword(paths: Paths, metrics: dict[str, Any]) -> None:
    drivers = pd.read_csv(paths.data("explain") / "classes.csv")
    best = drivers[drivers["from"].eq("attributions")].groupby("class").first()["word"]
    assert best.to_dict() == KEYWORDS
    model = attribution.load(paths.data("export") / "bundle", with_internals=True)
    assert model.internals is not None and model.internals.network.words is not None
    weights = model.internals.network.words.table.numpy()
    exact = drivers[drivers["from"].eq("table")].iloc[0]
    token = model.internals.tokenizer.token_to_id(exact["word"])
    label = LABELS.index(exact["class"])
    assert exact["value"] == pytest.approx(float(weights[token, label] - weights[token].mean()), rel=1e-5)


def test_the_map_holds_every_kind_and_marks_the_errors(paths: Paths, metrics: dict[str, Any]) -> None:
    points = pd.read_parquet(paths.data("explain") / "map.parquet")
    assert points["kind"].value_counts().to_dict() == {"test": 64, "gold": 16, "pseudo": 13}
    assert points["wrong"].sum() == 4
    assert np.isfinite(points[["x", "y"]]).all(axis=None)
    assert (paths.data("explain") / "map.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_has_marked_words_no_script_and_loads_nothing(paths: Paths, metrics: dict[str, Any]) -> None:
    html = (paths.data("explain") / "why.html").read_text()
    assert "<script" not in html and "http" not in html.replace("http-equiv", "")
    assert '<mark class="for"' in html and "<sup>+</sup>" in html


def test_a_right_ranking_is_trusted_and_its_reverse_is_not(paths: Paths, settings: Params) -> None:
    model = attribution.load(paths.data("export") / "bundle", with_internals=False)
    pairs = planted_texts(20, seed=90)
    texts = [text for text, _ in pairs]
    right = []
    for text, label in pairs:
        key = text.split().index(KEYWORDS[label])
        right.append([np.array([key, *(i for i in range(len(text.split())) if i != key)])])
    rankings = {"right": right, "reverse": [[order[::-1] for order in orders] for orders in right]}
    rankings[faithfulness.RANDOM] = faithfulness.random_rankings(texts, 3, seed=0)
    labels = np.array([LABELS.index(label) for _, label in pairs])
    measured = faithfulness.measure_faithfulness(model, texts, labels, rankings, [0.1, 0.3])
    comparison = faithfulness.compare_methods(measured, settings.explain)
    assert faithfulness.trusted_methods(comparison, ["right", "reverse"]) == {"right": True, "reverse": False}
    against = comparison[comparison["method"].eq("right") & comparison["against"].eq("reverse")].set_index("measure")
    assert against["better"].to_dict() == {"comprehensiveness": "yes", "sufficiency": "yes"}
    assert measured["right"].comprehensiveness.mean() > 0.2 > measured["reverse"].comprehensiveness.mean()
