"""The stage for real on a tiny encoder: rows, heads and audit out, and what it does where something is missing."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file
from scipy.sparse import csr_matrix

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.core.stage import Metrics, Paths
from pipeline.stages.pseudo_label import decisions, round_selection, run
from pipeline.stages.pseudo_label.spread import NoSpreading
from pipeline.stages.pseudo_label.teacher import Texts
from pipeline.stages.pseudo_label.views import View, latent

GROUPS = ("north", "south", "=cmd()")


def project(
    root: Path,
    rows: Callable[..., pd.DataFrame],
    pairs: list[tuple[str, str]],
    tiny_encoder: Path,
    gold: int,
    held: int,
    descriptions: dict[str, str] | None = None,
) -> Paths:
    """The inputs of the stage: ``gold`` labelled rows, then ``held`` validation rows; the pool is the rest.

    There are no augmented rows; each pool row has a group.
    """
    paths = Paths(root)
    train, validation, pool = pairs[:gold], pairs[gold : gold + held], pairs[gold + held :]
    regions = pd.DataFrame({"group.region": [GROUPS[i % 3] for i in range(len(pool))]})
    tables = {
        "ingest/train": rows(train),
        "ingest/unlabelled": rows([(text, None) for text, _ in pool], origin="unlabelled", groups=regions),
        "ingest/validation": rows(validation),
        "synonyms/train": rows([]),
        "back_translate/train": rows([]),
        "swaps/train": rows([]),
        "swaps/unlabelled": rows([]),
    }
    for name, content in tables.items():
        table.write(content, root / "data" / f"{name}.parquet")
    described = descriptions or {"refund": "money back"}
    labels = {"labels": ["account", "delivery", "refund"], "descriptions": described}
    (root / "data/ingest/labels.json").write_text(json.dumps(labels))
    (root / "data/pretrain").mkdir()
    (root / "data/pretrain/encoder").symlink_to(tiny_encoder)
    return paths


Make = Callable[..., tuple[Paths, Metrics]]


@pytest.fixture
def stage(
    tmp_path: Path,
    rows: Callable[..., pd.DataFrame],
    pairs: list[tuple[str, str]],
    tiny_encoder: Path,
    params: Callable[..., Params],
) -> Make:
    """``stage(gold, held=0, descriptions=None, **pseudo_label params)`` runs the stage for real on the tiny encoder."""

    def make(
        gold: int, held: int = 0, descriptions: dict[str, str] | None = None, **changes: object
    ) -> tuple[Paths, Metrics]:
        paths = project(tmp_path, rows, pairs, tiny_encoder, gold, held, descriptions)
        own = params({"pseudo_label": changes})
        return paths, run(own.pseudo_label, own.encoder, own.mitigation, paths)

    return make


def read(paths: Paths, name: str) -> pd.DataFrame:
    """A CSV file that the stage wrote."""
    return pd.read_csv(paths.data("pseudo_label") / name)


@pytest.fixture
def last_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last round with words is kept: twelve labels over a random encoder would choose by chance, or none."""
    monkeypatch.setattr(decisions, "consult", lambda *asked: (asked[3], None, False))
    monkeypatch.setattr(decisions, "last_unless_harmed", lambda right: len(right) - 1)
    monkeypatch.setattr(round_selection, "clearly_better", lambda one, other: False)


@pytest.mark.usefixtures("last_round")
def test_the_stage_writes_rows_heads_and_audit(stage: Make, tiny_encoder: Path) -> None:
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


def test_what_is_kept_is_no_worse_on_held_out_labels_than_no_pseudo_labels(stage: Make) -> None:
    _, metrics = stage(gold=24)
    assert metrics["precision"] >= metrics["precision_without"]


@pytest.mark.usefixtures("last_round")
def test_the_audit_says_the_same_as_the_rows_and_the_metrics(stage: Make, params: Callable[..., Params]) -> None:
    paths, metrics = stage(gold=12)
    accepted = table.read(paths.data("pseudo_label") / "train.parquet")
    accepted = accepted[accepted["origin"] == "pseudo"]
    rounds, classes, groups = (read(paths, f"{name}.csv") for name in ("rounds", "classes", "groups"))
    assert len(rounds) == params().pseudo_label.rounds + 1
    assert rounds["accepted"][metrics["round"]] == metrics["accepted"]
    assert rounds["precision"][metrics["round"]] == metrics["precision"]
    assert rounds["precision"][0] == metrics["precision_without"]
    assert len(classes) == 3 * len(rounds)
    kept = classes[classes["round"] == metrics["round"]].set_index("class")
    assert kept["accepted"].to_dict() == accepted["label"].value_counts().to_dict()
    assert kept["right"].sum() / kept["held_out_rows"].sum() == pytest.approx(metrics["precision"], abs=1e-6)
    counts = accepted["group.region"].value_counts().to_dict()
    assert {table.as_written(name): count for name, count in zip(groups["group"], groups["accepted"], strict=True)} == (
        counts
    )
    assert groups["pool"].sum() == metrics["pool"] == 114


def test_validation_rows_judge_where_there_are_any(stage: Make) -> None:
    _, metrics = stage(gold=12, held=30)
    assert metrics["judged_by"] == "validation"
    assert metrics["held_out_rows"] == 30
    assert metrics["pool"] == 84


@pytest.mark.parametrize("spread", ["clusters", "none"])
def test_other_spreads_label_the_pool_too(stage: Make, spread: str) -> None:
    paths, metrics = stage(gold=24, spread=spread)
    rounds = read(paths, "rounds.csv")
    assert rounds["accepted"].is_monotonic_increasing
    assert rounds["brier"][metrics["round"]] <= rounds["brier"][0] + decisions.SAME


def test_without_parts_the_head_has_no_words(stage: Make) -> None:
    paths, metrics = stage(gold=12, words={"mix_weights": [], "inverse_l2": 1.0, "naive_bayes_alpha": 0.1})
    assert metrics["words_part"] == 0
    assert load_file(paths.data("pseudo_label") / "head.safetensors").keys() == {"weight", "bias"}


def test_two_runs_give_the_same_rows_and_heads_even_from_an_empty_store(stage: Make) -> None:
    def made(paths: Paths) -> list[bytes]:
        names = ("train.parquet", "head.safetensors", "rounds.csv", "classes.csv", "groups.csv")
        return [(paths.data("pseudo_label") / name).read_bytes() for name in names]

    paths, _ = stage(gold=30)
    first = made(paths)
    shutil.rmtree(paths.root / "data")
    paths, _ = stage(gold=30)
    assert made(paths) == first


def test_no_labels_at_all_starts_from_the_names_of_the_classes(stage: Make) -> None:
    paths, metrics = stage(gold=0, min_agreement=0.0)  # the views of a random encoder need not agree
    assert metrics["judged_by"] == "none: too few gold rows for folds"
    assert metrics["accepted"] > 0
    assert "precision" not in metrics
    assert read(paths, "classes.csv")["precision"].isna().all()
    assert read(paths, "rounds.csv")["precision"].isna().all()


@pytest.mark.parametrize("gold", [0, 8])
def test_where_few_labels_or_none_are_held_out_and_the_views_do_not_agree_no_pool_row_is_taken(
    stage: Make, gold: int
) -> None:
    """The encoder was drawn at random: what its vectors say of a text and what the words say have little in common."""
    paths, metrics = stage(gold=gold)
    assert metrics["doubted"] and metrics["agreement"] < 0.667
    assert metrics["round"] == metrics["accepted"] == 0
    assert set(table.read(paths.data("pseudo_label") / "train.parquet")["origin"]) == {"class_name"}
    assert len(pd.read_parquet(paths.data("pseudo_label") / "held_out.parquet")) == metrics["held_out_rows"]


@pytest.mark.parametrize("unheard", [{"class_names": False}, {"class_name_weight": 0.0}])
def test_no_labels_and_no_names_is_the_users_mistake(stage: Make, unheard: dict[str, object]) -> None:
    with pytest.raises(UserError, match="pseudo_label.class_names: expected gold rows or class names"):
        stage(gold=0, **unheard)


def test_names_alone_are_heard_whatever_validation_rows_say_of_them(stage: Make) -> None:
    _, metrics = stage(gold=0, held=30)
    assert metrics["judged_by"] == "validation" and metrics["class_names_heard"] is True


@pytest.mark.parametrize("wanted", [True, False])
def test_names_that_know_enough_choose_the_first_rows_where_params_say_so(
    stage: Make, pairs: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    """The encoder was drawn at random: descriptions of the very words of the texts tell the classes, names do not.

    Whether its vectors then agree with the words is chance.
    """
    monkeypatch.setattr(decisions, "names_lead", lambda *_: True)
    told = {label: " ".join(text for text, own in pairs[60:] if own == label) for label in {own for _, own in pairs}}
    _, metrics = stage(gold=30, descriptions=told, names_first=wanted)
    assert metrics["class_names_heard"] is True
    assert metrics["names_first"] is wanted


def test_an_empty_pool_gives_the_probe_on_the_gold_rows(stage: Make) -> None:
    paths, metrics = stage(gold=126)
    assert metrics["accepted"] == 0
    assert metrics["round"] == 0
    assert len(read(paths, "rounds.csv")) == 1
    assert read(paths, "groups.csv").empty


def test_teacher_none_labels_nothing_but_still_hands_over_a_head(stage: Make) -> None:
    paths, metrics = stage(gold=30, teacher="none")
    assert metrics["accepted"] == 0
    assert isinstance(load_file(paths.data("pseudo_label") / "head.safetensors")["weight"], np.ndarray)


@pytest.mark.usefixtures("last_round")
@pytest.mark.parametrize("mix_weights", [[], [0.5]])
def test_a_latent_teacher_labels_the_pool_by_its_words_and_the_head_fits_the_students_own_encoder(
    stage: Make, pairs: list[tuple[str, str]], mix_weights: list[float]
) -> None:
    """The encoder was drawn at random; in the texts, words that one class alone has come together."""
    words = {"mix_weights": mix_weights, "inverse_l2": 1.0, "naive_bayes_alpha": 0.1}
    paths, metrics = stage(gold=12, teacher="latent", latent=12, words=words)
    assert not metrics["ships_teacher"]
    taken = table.read(paths.data("pseudo_label") / "train.parquet")
    taken = taken[taken["origin"] == "pseudo"]
    truth = dict(pairs)
    by_words = (taken["label"] == taken["text"].map(truth)).mean()
    assert load_file(paths.data("pseudo_label") / "head.safetensors")["weight"].shape == (3, 32)
    shutil.rmtree(paths.root / "data")
    paths, _ = stage(gold=12, teacher="probe", words={**words, "mix_weights": []})
    taken = table.read(paths.data("pseudo_label") / "train.parquet")
    taken = taken[taken["origin"] == "pseudo"]
    assert by_words > (taken["label"] == taken["text"].map(truth)).mean()


def test_a_latent_teacher_of_texts_that_share_no_words_is_the_users_mistake(params: Callable[..., Params]) -> None:
    nothing = Texts(np.zeros((3, 0), np.float32), csr_matrix((3, 0)))
    with pytest.raises(
        UserError, match="latent: expected two words that several texts have, found 0; give it more text"
    ):
        latent(View(nothing, nothing, nothing, NoSpreading()), 2, params().pseudo_label)


@pytest.mark.slow
@pytest.mark.usefixtures("last_round")
def test_a_fine_tuned_teacher_labels_the_pool_and_the_head_fits_the_students_own_encoder(stage: Make) -> None:
    own: dict[str, object] = {
        "head_lr": 0.01,
        "lr": 1e-3,
        "dropout": 0.0,
        "label_smoothing": 0.0,
        "epochs": 2,
        "max_steps": None,
    }
    own |= {"batch_size": 8, "gradient_accumulation": 1, "weight_decay": 0.0, "warmup": 0.0, "precision": "float32"}
    own |= {"compile": False, "checkpoint_steps": 100, "trackers": [], "seed": 0}
    paths, metrics = stage(gold=12, teacher="finetuned", finetuned=own)
    assert metrics["judged_by"] == "folds"
    assert metrics["accepted"] > 0
    assert load_file(paths.data("pseudo_label") / "head.safetensors")["weight"].shape == (3, 32)
    assert not list(paths.scratch("pseudo_label").glob("teacher-*"))
