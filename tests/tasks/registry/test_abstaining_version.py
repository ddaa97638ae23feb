"""A version that abstains: the same texts get no label, for the same reason, wherever it is asked."""

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest

import gleaner
from pipeline.commands import explain, predict
from pipeline.commands.served_bundle import ServedBundle
from pipeline.core import table
from pipeline.core.params import Params
from pipeline.core.stage import Paths
from pipeline.serving.handover import Handover, NamedBundle, write_handover
from pipeline.serving.service import Settings, build_service
from pipeline.sources.text_format import Choice
from pipeline.stages import evaluate
from pipeline.stages.explain.page import describe_answer
from tasks import registry
from tasks.registry.manifest import manifest_digest
from tests.support.explaining import SETTINGS
from tests.support.serving import params_with, running
from tests.support.word_bundle import FOREIGN, build

TEXTS = ["money please", f"money {FOREIGN}", "parcel", f"{FOREIGN} {FOREIGN}"]
REASON = "unlike every class"
ANSWERS = [("refund", None), (None, REASON), ("delivery", None), (None, REASON)]  # label and reason of each text


@pytest.fixture
def bundle(project: Path) -> Path:
    """The bundle of a finished training; it abstains."""
    folder = project / "data" / "export" / "bundle"
    shutil.rmtree(folder)
    return build(folder, {"money": [5, 0], "parcel": [0, 5]}, ["refund", "delivery"], abstains=True)


def pairs(rows: Any) -> list[tuple[str | None, str | None]]:
    """Label and reason of each row; what is empty or missing is None."""
    found = [[row[key] if row[key] and not pd.isna(row[key]) else None for key in ("label", "reason")] for row in rows]
    return [(label, reason) for label, reason in found]


def test_every_way_to_ask_gives_the_same_answers(
    bundle: Path, project: Path, local: Params, opened: registry.Run, tmp_path: Path
) -> None:
    version = registry.register_or_reuse(project, local, opened)
    loaded = mlflow.pyfunc.load_model(f"models:/{version.model}@champion")
    assert pairs(loaded.predict(pd.DataFrame({"text": TEXTS})).to_dict("records")) == ANSWERS
    model = gleaner.load(f"models:/{version.model}@champion", project=project)
    assert [(answer.label, answer.reason) for answer in model.predict(TEXTS)] == ANSWERS
    assert [answer.label for answer in model.predict(TEXTS, abstain=False)][1] == "refund"

    source = tmp_path / "texts.txt"
    source.write_text("\n".join(TEXTS))
    out = io.StringIO()
    predict.predict_file(predict.Request(str(source), ServedBundle(bundle), Choice()), out)
    assert pairs(csv.DictReader(out.getvalue().splitlines())) == ANSWERS

    (tmp_path / "inbox" / "feedback").mkdir(parents=True)
    handover = tmp_path / "handover.json"
    write_handover(handover, Handover(NamedBundle(str(bundle), manifest_digest(bundle), version.model, "1")))
    service = build_service(Settings(tmp_path, handover), params_with())
    with running(service, "admin") as client:
        answered = client.post("/v1/predict", json={"texts": TEXTS}).json()["predictions"]
        assert pairs(answered) == ANSWERS and [row["abstained"] for row in answered] == [False, True, False, True]
        labelled = client.post("/v1/predict", json={"texts": TEXTS, "abstain": False}).json()["predictions"]
        assert pairs(labelled)[:3] == [("refund", None), ("refund", None), ("delivery", None)]
        rows = client.post("/invocations", json={"instances": TEXTS}).json()["predictions"]
        assert pairs(rows) == ANSWERS
        explained = client.post("/v1/explain", json={"texts": TEXTS}).json()["explanations"]
    assert pairs(explained) == ANSWERS
    assert [row["explained_label"] for row in explained[:3]] == ["refund", "refund", "delivery"]
    assert max(explained[1]["words"], key=lambda word: word["share"])["word"] == "money"


def test_an_explanation_of_a_text_without_a_label_shows_the_words_of_the_most_probable_one(
    bundle: Path, tmp_path: Path
) -> None:
    source = tmp_path / "texts.txt"
    source.write_text("\n".join(TEXTS))
    shown = {}
    for form in ("json", "text", "html"):
        out = io.StringIO()
        request = explain.Request(str(source), ServedBundle(bundle), "lime", Choice(), form, SETTINGS)
        explain.explain_file(request, out)
        shown[form] = out.getvalue()
    rows = list(map(json.loads, shown["json"].splitlines()))
    assert pairs(rows) == ANSWERS
    assert [row["explained_label"] for row in rows[:3]] == ["refund", "refund", "delivery"]
    assert max(rows[1]["methods"]["lime"]["words"], key=lambda word: word["share"])["word"] == "money"
    sentence = "no label: unlike every class; the words are those of the most probable one, refund (99.3%)"
    assert f"line 2: {sentence}" in shown["text"] and sentence in shown["html"]
    assert "line 1: refund (99.3%)" in shown["text"]

    explanations = gleaner.load(bundle).explain(TEXTS, method="lime")
    assert [(one.label, one.reason) for one in explanations] == ANSWERS
    assert [one.explained_label for one in explanations[:3]] == ["refund", "refund", "delivery"]
    assert max(explanations[1].words, key=lambda word: word.share).word == "money"


def test_the_report_is_told_which_test_rows_get_no_label(bundle: Path, project: Path, local: Params) -> None:
    paths = Paths(project)
    ids = [f"row-{number}" for number in range(len(TEXTS))]
    labels: list[str | None] = ["refund", "delivery", "delivery", "refund"]
    rows = table.make(id=ids, source_id=ids, text=TEXTS, label=labels, origin="gold")
    for name in ("train", "test"):
        table.write(rows, paths.data("ingest") / f"{name}.parquet")
    metrics = evaluate.run(local.evaluate, local.encoder, paths)
    assert metrics["abstention"]["refused_rows"] == 2
    predictions = pd.read_parquet(paths.data("evaluate") / "predictions.parquet")
    assert [reason if isinstance(reason, str) else None for reason in predictions["reason"]] == [
        reason for _, reason in ANSWERS
    ]
    refused = predictions.to_dict("records")[1]
    assert describe_answer(refused) == "no label, unlike every class; most probable refund (99%), truly delivery"
