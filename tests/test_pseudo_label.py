"""The teacher's rounds: class shares near the prior, held-out labels decide, nothing harmful is kept."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from pipeline import table
from pipeline.calibration import softmax
from pipeline.errors import UserError
from pipeline.params import Params, PseudoLabel
from pipeline.pseudo_label import graph, run
from pipeline.pseudo_label.held_out import NO_JUDGEMENT, judgement, on_folds, stratified_folds
from pipeline.pseudo_label.probe import NEVER, Probe, Seeds, fit
from pipeline.pseudo_label.rounds import label_in_rounds
from pipeline.pseudo_label.selection import align, select
from pipeline.pseudo_label.teacher import Vectors, as_they_are
from pipeline.stage import Metrics, Paths


def cloud(counts: list[int], spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors around one random direction a class, and their class numbers."""
    centres = np.random.default_rng(99).normal(size=(len(counts), 16))
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    vectors = centres[labels] + spread * random.normal(size=(len(labels), 16))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), labels


def seeds_of(vectors: np.ndarray, labels: np.ndarray) -> Seeds:
    return Seeds(vectors, labels, np.full(len(labels), 5.0))


@pytest.fixture
def own(params: Callable[..., Params]) -> PseudoLabel:
    return params().pseudo_label


def test_a_probe_of_two_classes_gives_the_probabilities_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    vectors, labels = cloud([30, 20], 0.8)
    ours = softmax(fit(vectors, labels, np.ones(50), 2, 10).logits(vectors))
    theirs = LogisticRegression(C=10, max_iter=300, tol=1e-3).fit(vectors, labels).predict_proba(vectors)
    assert np.abs(ours - theirs).max() < 1e-5


def test_a_class_without_any_row_is_never_named() -> None:
    vectors, labels = cloud([20, 0, 20], 0.3)
    probe = fit(vectors, labels, np.ones(40), 3, 10)
    assert probe.bias[1] == NEVER
    assert set(probe.logits(vectors).argmax(axis=1)) == {0, 2}


def test_alignment_moves_the_class_shares_to_the_prior() -> None:
    probabilities = softmax(np.random.default_rng(0).normal(size=(500, 3)) + np.array([2.0, 0.0, 0.0]))
    prior = np.array([0.2, 0.3, 0.5])
    aligned = align(probabilities, prior)
    assert np.allclose(aligned.mean(axis=0), prior, atol=0.01)
    assert np.allclose(aligned.sum(axis=1), 1)


def test_selection_takes_the_surest_rows_and_forces_no_row_into_a_class() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.55, 0.45]])
    rows, labels = select(probabilities, np.array([0.5, 0.5]), share=1.0, min_confidence=0.0)
    assert rows.tolist() == [0, 2]  # two of class 0 as the prior says; nobody looks like class 1, so nobody is
    assert labels.tolist() == [0, 0]
    assert select(probabilities, np.array([1.0, 0.0]), 1.0, 0.7)[0].tolist() == [0, 2]


def test_an_unbalanced_pool_keeps_its_class_mix(own: PseudoLabel) -> None:
    vectors, labels = cloud([5, 5, 5], 0.3)
    pool, truth = cloud([700, 200, 100], 0.3, seed=1)
    last = label_in_rounds(seeds_of(vectors, labels), pool, 3, 1.0, own)[-1]
    shares = np.bincount(last.labels, minlength=3) / len(last.labels)
    assert shares[0] > 0.4  # the teacher sees 70%; a third each would be the balanced quota
    assert (last.labels == truth[last.rows]).mean() > 0.95


def test_rounds_beat_the_teacher_that_they_start_from(own: PseudoLabel) -> None:
    vectors, labels = cloud([2] * 8, 0.9)
    pool, _ = cloud([150] * 8, 0.9, seed=1)
    test, truth = cloud([100] * 8, 0.9, seed=2)
    rounds = label_in_rounds(seeds_of(vectors, labels), pool, 8, 1.0, own)
    first, last = ((r.probe.logits(test).argmax(axis=1) == truth).mean() for r in (rounds[0], rounds[-1]))
    assert last > first + 0.03


def test_more_accepted_rows_from_round_to_round(own: PseudoLabel) -> None:
    vectors, labels = cloud([3, 3], 0.5)
    pool, _ = cloud([100, 100], 0.5, seed=1)
    counts = [len(r.rows) for r in label_in_rounds(seeds_of(vectors, labels), pool, 2, 1.0, own)]
    assert counts[0] == 0
    assert counts == sorted(counts)


def test_folds_hold_out_a_gold_row_with_everything_that_derives_from_it(own: PseudoLabel) -> None:
    """Every gold row has a twin of the same vector: only a teacher that sees the twin could know its random label."""
    random = np.random.default_rng(0)
    vectors = random.normal(size=(60, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    seeds = pd.DataFrame({"target": random.integers(2, size=60), "source_id": np.arange(60).astype(str), "weight": 1.0})
    twice = pd.concat([seeds, seeds], ignore_index=True)
    nothing = vectors[:0]
    see = as_they_are(Vectors(np.tile(vectors, (2, 1)), nothing, nothing))
    judged = on_folds(twice, np.arange(60), see, 2, own)
    assert judged.right is not None
    assert judged.right[0] / 60 < 0.75


def test_near_texts_tell_each_other_their_labels() -> None:
    vectors, labels = cloud([50, 50], 0.3)
    unsure = np.full((100, 2), 0.5)
    unsure[0], unsure[50] = [1.0, 0.0], [0.0, 1.0]
    spread = graph.build(vectors, neighbours=10).smooth(unsure, alpha=0.9, steps=50)
    assert (spread.argmax(axis=1) == labels).mean() > 0.95
    assert np.allclose(spread.sum(axis=1), 1)


def test_the_graph_connects_each_row_with_its_nearest_others() -> None:
    vectors, _ = cloud([30, 30], 0.5)
    near, cosine = graph.nearest(vectors, 5)
    all_pairs = vectors @ vectors.T - 3 * np.eye(60)
    assert np.allclose(np.sort(cosine, axis=1), np.sort(all_pairs, axis=1)[:, -5:], atol=1e-6)
    assert not (near == np.arange(60)[:, None]).any()


def test_stratified_folds_spread_each_class() -> None:
    labels = np.repeat([0, 1, 2], [8, 4, 1])
    folds = stratified_folds(labels, 4, seed=0)
    assert np.bincount(folds[labels == 0]).tolist() == [2, 2, 2, 2]
    assert np.bincount(folds[labels == 1]).tolist() == [1, 1, 1, 1]


def test_harmful_rounds_are_not_kept_and_harmless_ones_are() -> None:
    labels = np.zeros(10, dtype=int)
    right = np.tile(np.array([1.0, 0.0]), (10, 1))
    worse = right.copy()
    worse[:3] = [0.0, 1.0]
    assert judgement("folds", np.stack([right, worse, worse]), labels).best == 0
    assert judgement("folds", np.stack([right, right, worse]), labels).best == 1
    assert judgement("folds", np.stack([worse, right, right]), labels).best == 2


def project(
    root: Path, rows: Callable[..., pd.DataFrame], pairs: list[tuple[str, str]], tiny_encoder: Path, gold: int
) -> Paths:
    """The inputs of the stage: ``gold`` labelled rows, the rest of the pairs as the pool, no augmented rows."""
    paths = Paths(root)
    train = rows(pairs[:gold])
    tables = {
        "ingest/train": train,
        "ingest/unlabelled": rows([(text, None) for text, _ in pairs[gold:]], origin="unlabelled"),
        "ingest/validation": table.empty(train),
        "synonyms/train": table.empty(train),
        "back_translate/train": table.empty(train),
    }
    for name, content in tables.items():
        table.write(content, root / "data" / f"{name}.parquet")
    labels = {"labels": ["account", "delivery", "refund"], "descriptions": {"refund": "money back"}}
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
    """``stage(gold, **pseudo_label params)`` runs the stage for real on the tiny encoder."""

    def make(gold: int, **changes: object) -> tuple[Paths, Metrics]:
        paths = project(tmp_path, rows, pairs, tiny_encoder, gold)
        own = params({"pseudo_label": changes})
        return paths, run(own.pseudo_label, own.encoder, paths)

    return make


def test_the_stage_writes_rows_head_and_rounds(stage: Make) -> None:
    paths, metrics = stage(gold=12)
    out = paths.data("pseudo_label")
    accepted = table.read(out / "train.parquet")
    assert metrics["accepted"] > 0
    assert accepted["origin"].value_counts().to_dict() == {"pseudo": metrics["accepted"], "class_name": 3}
    assert accepted.loc[accepted["origin"] == "pseudo", "confidence"].between(0, 1).all()
    assert set(accepted.loc[accepted["origin"] == "class_name", "text"]) == {"account", "delivery", "money back"}
    head = load_file(out / "head.safetensors")
    assert head["weight"].shape == (3, 32)
    assert head["bias"].shape == (3,)
    rounds = pd.read_csv(out / "rounds.csv")
    assert len(rounds) == 4
    assert metrics["judged_by"] == "folds"
    assert metrics["precision"] >= metrics["precision_without"]
    assert (out / "rounds.png").read_bytes().startswith(b"\x89PNG")


def test_two_runs_give_the_same_rows_even_from_an_empty_store(stage: Make) -> None:
    import shutil

    paths, _ = stage(gold=30)
    first = (paths.data("pseudo_label") / "train.parquet").read_bytes()
    shutil.rmtree(paths.root / "data")
    paths, _ = stage(gold=30)
    assert (paths.data("pseudo_label") / "train.parquet").read_bytes() == first


def test_no_labels_at_all_starts_from_the_names_of_the_classes(stage: Make) -> None:
    _, metrics = stage(gold=0)
    assert metrics["judged_by"] == NO_JUDGEMENT.by
    assert metrics["accepted"] > 0


def test_no_labels_and_no_names_is_the_users_mistake(stage: Make) -> None:
    with pytest.raises(UserError, match="pseudo_label.class_names: expected gold rows or class names"):
        stage(gold=0, class_names=False)


def test_an_empty_pool_gives_the_probe_on_the_gold_rows(stage: Make) -> None:
    _, metrics = stage(gold=126)
    assert metrics["accepted"] == 0
    assert metrics["round"] == 0


def test_teacher_none_labels_nothing_but_still_hands_over_a_head(stage: Make) -> None:
    paths, metrics = stage(gold=30, teacher="none")
    assert metrics["accepted"] == 0
    assert isinstance(load_file(paths.data("pseudo_label") / "head.safetensors")["weight"], np.ndarray)


@pytest.mark.slow
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


def test_probe_logits_are_linear() -> None:
    probe = Probe(np.eye(2, dtype=np.float32), np.array([1, 0], dtype=np.float32))
    assert probe.logits(np.array([[3.0, 4.0]], dtype=np.float32)).tolist() == [[4.0, 4.0]]
