"""The stage on a tiny encoder: rows, heads and audit, and what it does where labels or texts are missing."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.core.stage import Paths
from tests.support.pseudo_stage import RunStage, read_csv


def test_the_stage_writes_rows_heads_and_audit(stage: RunStage, tiny_encoder: Path) -> None:
    from transformers import AutoTokenizer

    paths, metrics = stage(gold=12)
    out = paths.data("pseudo_label")
    accepted = table.read(out / "train.parquet")
    assert metrics["accepted"] > 0
    assert accepted["origin"].value_counts().to_dict() == {"pseudo": metrics["accepted"], "class_name": 3}
    assert accepted.loc[accepted["origin"] == "pseudo", "confidence"].between(0, 1).all()
    assert set(accepted.loc[accepted["origin"] == "class_name", "text"]) == {"account", "delivery", "money back"}
    head = load_file(out / "head.safetensors")
    vocabulary = len(AutoTokenizer.from_pretrained(tiny_encoder))
    assert {name: value.shape for name, value in head.items()} == {
        "weight": (3, 32),
        "bias": (3,),
        "words": (vocabulary, 3),
        "idf": (vocabulary,),
    }
    assert all(value.dtype == np.float32 and np.isfinite(value).all() for value in head.values())
    assert not head["words"][head["idf"] == 0].any()
    assert metrics["judged_by"] == "folds"
    assert metrics["held_out_rows"] == 12
    assert (out / "rounds.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in out.iterdir()} == {
        *("train.parquet", "head.safetensors", "held_out.parquet"),
        *("rounds.csv", "rounds.png", "classes.csv", "groups.csv"),
    }


def test_the_audit_agrees_with_the_rows_and_the_metrics(stage: RunStage, params: Callable[..., Params]) -> None:
    paths, metrics = stage(gold=12)
    accepted = table.read(paths.data("pseudo_label") / "train.parquet")
    accepted = accepted[accepted["origin"] == "pseudo"]
    rounds, classes, groups = (read_csv(paths, f"{name}.csv") for name in ("rounds", "classes", "groups"))
    assert len(rounds) in (2, params().pseudo_label.rounds + 1)
    assert rounds["accepted"][metrics["round"]] == metrics["accepted"]
    assert rounds["precision"][metrics["round"]] == metrics["precision"]
    assert rounds["precision"][0] == metrics["precision_without"]
    assert len(classes) == 3 * len(rounds)
    kept = classes[classes["round"] == metrics["round"]].set_index("class")
    assert kept["accepted"].to_dict() == accepted["label"].value_counts().to_dict()
    assert kept["right"].sum() / kept["held_out_rows"].sum() == pytest.approx(metrics["precision"], abs=1e-6)
    counts = accepted["group.region"].value_counts().to_dict()
    assert {
        table.strip_apostrophe(name): count for name, count in zip(groups["group"], groups["accepted"], strict=True)
    } == (counts)
    assert groups["pool"].sum() == metrics["pool"] == 114


def test_validation_rows_decide_where_there_are_any(stage: RunStage) -> None:
    _, metrics = stage(gold=12, held_out=30)
    assert metrics["judged_by"] == "validation"
    assert metrics["held_out_rows"] == 30
    assert metrics["pool"] == 84


@pytest.mark.parametrize("spread", ["clusters", "none"])
def test_other_spreads_label_the_pool_too(stage: RunStage, spread: str) -> None:
    paths, metrics = stage(gold=24, spread=spread)
    rounds = read_csv(paths, "rounds.csv")
    assert rounds["accepted"].is_monotonic_increasing
    assert metrics["accepted"] == rounds["accepted"][metrics["round"]]


def test_without_the_word_view_the_head_has_no_words(stage: RunStage) -> None:
    paths, _ = stage(gold=12, word_view=False)
    assert load_file(paths.data("pseudo_label") / "head.safetensors").keys() == {"weight", "bias"}


def test_two_runs_give_the_same_rows_and_heads_even_from_an_empty_store(stage: RunStage) -> None:
    def contents(paths: Paths) -> list[bytes]:
        names = ("train.parquet", "head.safetensors", "rounds.csv", "classes.csv", "groups.csv")
        return [(paths.data("pseudo_label") / name).read_bytes() for name in names]

    paths, _ = stage(gold=30)
    first = contents(paths)
    shutil.rmtree(paths.root / "data")
    paths, _ = stage(gold=30)
    assert contents(paths) == first


def test_without_labels_the_rounds_start_from_the_class_names(stage: RunStage) -> None:
    paths, metrics = stage(gold=0)
    assert metrics["judged_by"] == "none: too few gold rows for folds"
    assert metrics["lead"] == "names"
    assert metrics["accepted"] > 0
    assert "precision" not in metrics
    assert read_csv(paths, "classes.csv")["precision"].isna().all()
    assert read_csv(paths, "rounds.csv")["precision"].isna().all()


def test_no_labels_and_no_class_names_raise_a_user_error(stage: RunStage) -> None:
    with pytest.raises(UserError, match="pseudo_label.class_names: expected gold rows or class names"):
        stage(gold=0, class_names=False)


def test_names_that_say_nothing_do_not_lead_and_have_no_weight(stage: RunStage) -> None:
    paths, metrics = stage(gold=30, descriptions={"account": "LABEL_0", "delivery": "1", "refund": "class b"})
    assert metrics["lead"] == "no names" and metrics["class_names_heard"] is False
    assert "say nothing" in metrics["names_doubted"]
    rows = table.read(paths.data("pseudo_label") / "train.parquet")
    assert (rows.loc[rows["origin"] == "class_name", "weight"] == 0).all()


def test_heads_learn_from_a_limited_pool_and_label_all_of_it(stage: RunStage) -> None:
    paths, metrics = stage(gold=12, pool_limit=60)
    accepted = table.read(paths.data("pseudo_label") / "train.parquet").query("origin == 'pseudo'")
    assert metrics["pool"] == 114
    assert 60 < metrics["accepted"] == len(accepted) <= 114


def test_the_shipped_heads_answer_as_the_kept_round(stage: RunStage, tiny_encoder: Path) -> None:
    """The mean that was removed from the vectors moved into the bias: the student reads vectors as they are."""
    from pipeline.models import network

    paths, metrics = stage(gold=30)
    net, tokenizer = network.create(tiny_encoder, ["account", "delivery", "refund"], pooling="mean", max_length=128)
    head = load_file(paths.data("pseudo_label") / "head.safetensors")
    import torch

    net.load_heads({name: torch.from_numpy(value) for name, value in head.items()})
    accepted = table.read(paths.data("pseudo_label") / "train.parquet").query("origin == 'pseudo'")
    logits = network.predict_logits(net, tokenizer, accepted["text"].tolist(), 32)
    answers = [["account", "delivery", "refund"][i] for i in logits.argmax(axis=1)]
    assert metrics["accepted"] and np.mean(np.array(answers) == accepted["label"]) > 0.8


def test_an_empty_pool_gives_the_probe_on_the_gold_rows(stage: RunStage) -> None:
    paths, metrics = stage(gold=126)
    assert metrics["accepted"] == 0
    assert metrics["round"] == 0
    assert len(read_csv(paths, "rounds.csv")) == 1
    assert read_csv(paths, "groups.csv").empty


def test_teacher_none_labels_nothing_but_still_writes_a_head(stage: RunStage) -> None:
    paths, metrics = stage(gold=30, teacher="none")
    assert metrics["accepted"] == 0
    assert isinstance(load_file(paths.data("pseudo_label") / "head.safetensors")["weight"], np.ndarray)
