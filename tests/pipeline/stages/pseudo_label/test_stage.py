"""The stage on a tiny encoder: rows, heads and audit, and what it does where labels or texts are missing."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.core.stage import Paths
from pipeline.stages.pseudo_label import decisions
from tests.support.pseudo_stage import RunStage, read_csv


@pytest.mark.usefixtures("last_round")
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


def test_the_kept_round_is_no_worse_on_held_out_labels_than_round_0(stage: RunStage) -> None:
    _, metrics = stage(gold=24)
    assert metrics["precision"] >= metrics["precision_without"]


@pytest.mark.usefixtures("last_round")
def test_the_audit_agrees_with_the_rows_and_the_metrics(stage: RunStage, params: Callable[..., Params]) -> None:
    paths, metrics = stage(gold=12)
    accepted = table.read(paths.data("pseudo_label") / "train.parquet")
    accepted = accepted[accepted["origin"] == "pseudo"]
    rounds, classes, groups = (read_csv(paths, f"{name}.csv") for name in ("rounds", "classes", "groups"))
    assert len(rounds) == params().pseudo_label.rounds + 1
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
    assert rounds["brier"][metrics["round"]] <= rounds["brier"][0] + decisions.BRIER_TOLERANCE


def test_without_mix_weights_the_head_has_no_words(stage: RunStage) -> None:
    paths, metrics = stage(gold=12, words={"mix_weights": [], "inverse_l2": 1.0, "naive_bayes_alpha": 0.1})
    assert metrics["words_part"] == 0
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
    paths, metrics = stage(gold=0, min_agreement=0.0)  # the views of a random encoder need not agree
    assert metrics["judged_by"] == "none: too few gold rows for folds"
    assert metrics["accepted"] > 0
    assert "precision" not in metrics
    assert read_csv(paths, "classes.csv")["precision"].isna().all()
    assert read_csv(paths, "rounds.csv")["precision"].isna().all()


@pytest.mark.parametrize("gold", [0, 8])
def test_with_few_held_out_rows_and_disagreeing_views_no_pool_row_is_accepted(stage: RunStage, gold: int) -> None:
    """The encoder is random, so its vectors and the words of a text have little in common."""
    paths, metrics = stage(gold=gold)
    assert metrics["doubted"] and metrics["agreement"] < 0.667
    assert metrics["round"] == metrics["accepted"] == 0
    assert set(table.read(paths.data("pseudo_label") / "train.parquet")["origin"]) == {"class_name"}
    assert len(pd.read_parquet(paths.data("pseudo_label") / "held_out.parquet")) == metrics["held_out_rows"]


@pytest.mark.parametrize("changes", [{"class_names": False}, {"class_name_weight": 0.0}])
def test_no_labels_and_no_class_names_raise_a_user_error(stage: RunStage, changes: dict[str, object]) -> None:
    with pytest.raises(UserError, match="pseudo_label.class_names: expected gold rows or class names"):
        stage(gold=0, **changes)


def test_class_names_are_used_where_there_are_no_other_seeds(stage: RunStage) -> None:
    _, metrics = stage(gold=0, held_out=30)
    assert metrics["judged_by"] == "validation" and metrics["class_names_heard"] is True


@pytest.mark.parametrize("wanted", [True, False])
def test_class_names_that_suffice_choose_the_rows_of_round_1_where_params_allow_it(
    stage: RunStage, pairs: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    """The descriptions consist of the words of the texts, because names say nothing to a random encoder.

    It is chance whether its vectors agree with the words, so that test is replaced.
    """
    monkeypatch.setattr(decisions, "class_names_should_lead", lambda *_: True)
    texts = {label: [text for text, own_label in pairs[60:] if own_label == label] for _, label in pairs}
    descriptions = {label: " ".join(class_texts) for label, class_texts in texts.items()}
    _, metrics = stage(gold=30, descriptions=descriptions, names_first=wanted)
    assert metrics["class_names_heard"] is True
    assert metrics["names_first"] is wanted


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
