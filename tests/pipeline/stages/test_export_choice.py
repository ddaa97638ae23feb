"""Which model export ships: held-out labels compare the pipeline's model with simpler ones."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

from pipeline.core import table
from pipeline.core.stage import Paths, write_json
from pipeline.models import classifier
from pipeline.models.baselines import predict_baselines
from pipeline.stages.export.candidates import Source
from pipeline.stages.export.selection import Shipped, choose_shipped
from tests.pipeline.stages import test_export as exporting

LABELS = exporting.LABELS
TEACHER = {"ships_teacher": True, "judged_by": "folds", "held_out_rows": 60, "precision": 0.5}


def candidates_project(root: Path, right: float, kept_round: int, learnable: bool = True) -> Paths:
    """60 gold rows, whose label a probe can learn if ``learnable``, and held-out logits of a teacher.

    The teacher is ``right`` about a share of them. It is the pipeline's model, and kept the round ``kept_round``.
    """
    paths = exporting.project(root, validation=0, teacher_metrics=TEACHER | {"round": kept_round})
    topics = [LABELS[i % 3] for i in range(60)]
    ids = [f"gold-{i}" for i in range(60)]
    words = topics if learnable else ["please"] * 60
    texts = [f"{word} {word} {exporting.WORDS[i % len(exporting.WORDS)]}" for i, word in enumerate(words)]
    gold = table.make(id=ids, source_id=ids, text=texts, label=list(topics), origin="gold")
    table.write(gold, paths.data("ingest") / "train.parquet")
    answers = [(i + (i >= right * 60)) % 3 for i in range(60)]
    logits = pd.DataFrame(3.0 * np.eye(3)[answers], columns=[f"logit.{label}" for label in LABELS])
    held_out = pd.DataFrame({"id": ids, "label": topics, "fold": np.arange(60) // 3 % 4})
    pd.concat([held_out, logits], axis=1).to_parquet(paths.data("pseudo_label") / "held_out.parquet")
    shutil.copytree(paths.data("finetune") / "model" / "encoder", paths.data("pretrain") / "encoder")
    shutil.copy(paths.data("finetune") / "model" / "head.safetensors", paths.data("pseudo_label"))
    return paths


def choose(paths: Paths, folder: Path, mitigated: bool = False, allowed: tuple[str, ...] = ("probe",)) -> Shipped:
    """The model that ships, without its bundle."""
    parts = {name: table.read(paths.data("ingest") / f"{name}.parquet") for name in ("train", "validation")}
    encoder = exporting.encoder_params(paths)
    source = Source(LABELS, parts["train"], parts["validation"], encoder, exporting.EVALUATE, paths)
    return choose_shipped(source, list(allowed), mitigated, folder)


def test_the_probe_ships_where_no_pseudo_label_was_kept_and_held_out_labels_do_not_favour_the_teacher(tmp_path):
    paths = candidates_project(tmp_path, right=0.5, kept_round=0)
    metrics = exporting.run(exporting.FLOAT32.model_copy(update={"candidates": ["probe", "teacher_head"]}), paths)
    shipped = metrics["shipped"]
    assert (shipped["model"], shipped["rows"], shipped["teacher_head"]["accuracy"]) == ("probe", 60, 0.5)
    assert shipped["reason"].startswith(
        "Logistic regression on the untouched encoder is chosen: no pseudo-labels were kept"
    )
    model, gold = classifier.load(exporting.bundle(paths)), table.read(paths.data("ingest") / "train.parquet")
    texts = exporting.rows(20, seed=7)["text"]
    test, encoder = pd.DataFrame({"text": texts}), exporting.encoder_params(paths)
    expected = predict_baselines(gold, test, 10.0, encoder, paths)["probe"]
    assert [LABELS[i] for i in model.predict(texts.tolist()).argmax(axis=1)] == list(expected)
    about = json.loads((exporting.bundle(paths) / "classifier.json").read_text())
    assert about["shipped"] == "probe" and not [name for name in about["lineage"] if "finetune" in name]
    assert metrics["temperature_from"] == "precision on 60 held-out gold rows"
    assert not list(paths.scratch("export").iterdir())


@pytest.mark.parametrize(
    ("right", "kept_round", "ships"), [(0.95, 0, "teacher_head"), (0.5, 3, "probe"), (0.95, 3, "teacher_head")]
)
def test_only_a_clear_difference_leads_away_from_the_start(tmp_path, right, kept_round, ships):
    learnable = kept_round > 0  # otherwise the probe guesses, which the teacher clearly beats
    shipped = choose(candidates_project(tmp_path, right, kept_round, learnable), tmp_path / "made")
    assert shipped.name == ships
    assert (shipped.metrics["probe"]["accuracy"] > 0.7) == learnable
    assert (
        shipped.held_out
        and shipped.held_out[1].shape == (60, 3)
        and shipped.accuracy == shipped.metrics[ships]["accuracy"]
    )


def test_the_pipelines_model_ships_where_nothing_can_be_compared(tmp_path):
    paths = candidates_project(tmp_path, right=0.5, kept_round=0)
    assert "of which simpler models know nothing" in choose(paths, tmp_path, mitigated=True).metrics["reason"]
    assert "no simpler candidate" in choose(paths, tmp_path, allowed=("teacher_head",)).metrics["reason"]
    write_json(TEACHER | {"round": 0, "held_out_rows": 19}, paths.data("pseudo_label") / "metrics.json")
    assert "19 held-out labels are too few (20)" in choose(paths, tmp_path).metrics["reason"]
    head = load_file(paths.data("finetune") / "model" / "head.safetensors")
    save_file({name: value + 1 for name, value in head.items()}, paths.data("finetune") / "model" / "head.safetensors")
    trained = choose(paths, tmp_path)
    assert trained.name == "network" and "0 validation rows are too few" in trained.metrics["reason"]
    gold = table.read(paths.data("ingest") / "train.parquet").head(30)
    table.write(
        gold.assign(id="v" + gold["id"], source_id="v" + gold["id"]), paths.data("ingest") / "validation.parquet"
    )
    shipped = choose(paths, tmp_path / "made", allowed=("probe", "teacher_head"))
    assert set(shipped.metrics) == {"model", "reason", "rows", "probe", "teacher_head", "network"}
    assert shipped.name == "probe" and (shipped.folder / "head.safetensors").exists()
