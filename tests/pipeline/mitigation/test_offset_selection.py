"""Offsets where they are chosen and applied: on validation or held-out rows, and in the served bundle."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

from pipeline.core import table
from pipeline.core.params import Mitigation, Offsets
from pipeline.core.stage import Paths, write_json
from pipeline.mitigation import offset_selection
from pipeline.mitigation.offsets import ClassOffsets
from pipeline.models import classifier
from tests.pipeline.stages import test_export as exporting

OFFSETS_ON = Mitigation(attributes=[], reweighing=False, penalty=0.0, offsets=Offsets(budget=0.05))


def add_groups(paths: Paths, name: str) -> None:
    """Give the rows of a table two groups in turn."""
    rows = table.read(paths.data("ingest") / f"{name}.parquet")
    places = ["near" if i % 2 else "far" for i in range(len(rows))]
    table.write(table.to_schema(rows.assign(**{"group.place": places})), paths.data("ingest") / f"{name}.parquet")


@pytest.mark.slow
def test_offsets_are_in_the_onnx_model_and_in_the_weights_of_the_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.models import network

    paths = exporting.project(tmp_path, validation=80)
    add_groups(paths, "validation")
    values = np.array([0.5, -1.0, *[0.0] * (len(exporting.LABELS) - 2)])
    shapes: list[tuple[int, ...]] = []

    def fixed_offsets(logits: np.ndarray, truth: np.ndarray, groups: np.ndarray, *_: object) -> ClassOffsets:
        shapes.append((*logits.shape, len(truth), *groups.shape))
        return ClassOffsets(values, "chosen", (0.8, 0.2), (0.79, 0.1), -0.05)

    monkeypatch.setattr(offset_selection, "choose_offsets", fixed_offsets)
    metrics = exporting.run(exporting.FLOAT32, paths, OFFSETS_ON)
    classes = len(exporting.LABELS)
    assert shapes == [(80, classes, 80, 80, 1)]
    assert metrics["offsets"]["values"] == values.tolist() and metrics["offsets"]["gap_after"] == 0.1
    texts = exporting.rows(20, seed=7)["text"].tolist()
    net, tokenizer, _ = network.load(paths.data("finetune") / "model")
    plain = network.predict_logits(net, tokenizer, texts, 32)
    bundle = exporting.bundle(paths)
    assert classifier.load(bundle).logits(texts) == pytest.approx(plain + values, abs=1e-4)
    before, after = (load_file(folder / "head.safetensors") for folder in (paths.data("finetune") / "model", bundle))
    assert (after["bias"] - before["bias"]).tolist() == pytest.approx(values.tolist(), abs=1e-6)


def held_out_project(root: Path, shift: float) -> Paths:
    """No validation rows, but held-out logits of 80 gold rows: they miss the last label, mostly in one group."""
    paths = exporting.project(root, validation=0)
    gold = exporting.rows(80)
    table.write(gold, paths.data("ingest") / "train.parquet")
    rng = np.random.default_rng(0)
    labels = exporting.LABELS
    last = gold["label"].eq(labels[-1])
    near = np.where(last, rng.random(80) < 0.9, rng.random(80) < 0.3)
    gold = gold.assign(**{"group.place": np.where(near, "near", "far")})
    table.write(table.to_schema(gold), paths.data("ingest") / "train.parquet")
    truth = gold["label"].map(labels.index).to_numpy()
    logits = 2 * np.eye(len(labels))[truth] + rng.normal(size=(80, len(labels))) * 0.3
    logits[:, -1] -= shift
    held_out = pd.DataFrame(logits, columns=[f"logit.{label}" for label in labels])
    held_out.insert(0, "id", gold["id"])
    held_out.assign(label=gold["label"]).to_parquet(paths.data("pseudo_label") / "held_out.parquet")
    head = paths.data("pseudo_label") / "head.safetensors"
    head.write_bytes((paths.data("finetune") / "model" / "head.safetensors").read_bytes())
    write_json({"ships_teacher": True}, paths.data("pseudo_label") / "metrics.json")
    return paths


def select_offsets(paths: Paths) -> ClassOffsets:
    tables = {name: table.read(paths.data("ingest") / f"{name}.parquet") for name in ("train", "validation")}
    fairness = exporting.FAIRNESS.model_copy(update={"min_group_size": 20})
    model = paths.data("finetune") / "model"
    offsets = offset_selection.select_offsets(model, tables, fairness, OFFSETS_ON, paths)
    assert offsets is not None
    return offsets


def test_without_validation_rows_offsets_are_chosen_on_held_out_gold_rows(tmp_path: Path) -> None:
    offsets = select_offsets(held_out_project(tmp_path, 2.2))
    assert offsets.reason == "chosen", offsets
    assert offsets.before and offsets.after and offsets.after[1] < offsets.before[1] / 2
    assert offsets.values.argmax() == len(exporting.LABELS) - 1


@pytest.mark.parametrize("why", ["trained further", "over other vectors"])
def test_held_out_rows_choose_no_offsets_for_a_model_that_is_not_the_teacher(tmp_path: Path, why: str) -> None:
    paths = held_out_project(tmp_path, 2.2)
    file = paths.data("finetune") / "model" / "head.safetensors"
    if why == "trained further":
        save_file({name: value + 0.1 for name, value in load_file(file).items()}, file)
    else:
        write_json({"ships_teacher": False}, paths.data("pseudo_label") / "metrics.json")
    offsets = select_offsets(paths)
    assert not offsets.values.any()
    assert offsets.reason == "none kept: only a validation split tells how this model answers"


def test_without_a_budget_there_are_no_offsets(tmp_path: Path) -> None:
    assert offset_selection.select_offsets(tmp_path, {}, exporting.FAIRNESS, exporting.OFF, Paths(tmp_path)) is None
    assert offset_selection.offset_metrics(None) == {"reason": "off: mitigation.offsets.budget is null"}
