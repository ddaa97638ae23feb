"""The ablation: which variants there are, what is held out, and what the verdict on a variant is."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.core.errors import UserError
from pipeline.core.params import Evaluate, read_yaml
from pipeline.experiments import ablation, telling_rows
from pipeline.experiments.ablation import Variant
from tests.support.ablation_project import make_tables

ROOT = Path(__file__).parents[3]
EVALUATE = Evaluate(bootstrap=500, interval=0.95, baseline_inverse_l2=10.0, seed=0)
TRAINING = ("pretrain", "synonyms", "back_translate", "swaps", "pseudo_label", "finetune")  # the stages after ingest


@pytest.fixture
def content():
    return read_yaml(ROOT / "params.yaml")


@pytest.fixture
def tables(rows, pairs):
    return make_tables(rows, pairs)


def test_a_variant_lacks_one_thing_and_exists_only_where_the_params_have_it(content):
    content["finetune"]["method"] = "full"
    content["synonyms"]["variants"], content["back_translate"]["engine"] = 1, "apertium"
    names = [variant.name for variant in ablation.list_variants(content)]
    assert names == [
        "everything",
        "synonyms",
        "back_translate",
        "pseudo_label",
        "class names",
        "words",
        "rounds after the first",
        "spreading",
        "finetune",
    ]
    content["synonyms"]["variants"] = 0
    content["pretrain"]["objective"] = "mlm"
    assert [variant.name for variant in ablation.list_variants(content)][1:3] == ["pretrain", "back_translate"]


def test_additions_are_changes_of_the_users_params(content):
    variants = ablation.list_variants(content, additions=["finetune.lr=1e-4,finetune.epochs=2"], only=["words"])
    assert [(variant.name, variant.adds) for variant in variants] == [
        ("everything", False),
        ("words", False),
        ("finetune.lr=1e-4,finetune.epochs=2", True),
    ]
    assert variants[2].content["finetune"] | {"lr": 2e-5, "epochs": 1} == content["finetune"]


@pytest.mark.parametrize(
    ("additions", "only", "message"),
    [
        (["finetune.shoe=1"], [], "finetune.shoe: expected a key of params.yaml"),
        (["finetune.lr=fast"], [], "finetune.lr: expected"),
        (["finetune.lr=2e-5"], [], "found the same"),
        (["shoes"], [], 'found "shoes"'),
        ([], ["shoes"], "--only: expected some of pretrain"),
        ([], ["words", "pretrain"], "--only pretrain: expected what params.yaml has switched on, found it off"),
    ],
)
def test_a_selection_that_makes_no_sense_raises(content, additions, only, message):
    with pytest.raises(UserError, match=message):
        ablation.list_variants(content, additions, only)


def test_every_variant_has_a_unique_name(content):
    content["finetune"]["method"] = "lora"
    variants = ablation.list_variants(content, ["finetune", "clusters", "clusters"], ["finetune"])
    assert [variant.name for variant in variants] == ["everything", "finetune", "with finetune", "clusters"]


def test_every_switch_names_keys_of_the_params(content):
    for switch in [*ablation.SWITCHED_OFF.values(), *ablation.ADDITIONS.values()]:
        assert ablation.validate_params(ablation.apply_changes(content, switch))


def test_a_known_addition_has_a_name(content):
    added = ablation.list_variants(content, additions=["lora"], only=["words"])[-1]
    assert (added.name, added.adds, added.content["finetune"]["method"]) == ("lora", True, "lora")


def test_a_share_of_each_class_is_held_out_of_every_table_with_what_derives_from_it(tables):
    rest, held = ablation.hold_out(tables, 0.25, seed=1)
    assert held.groupby("label")["source_id"].nunique().tolist() == [2, 2, 2]
    held_ids = set(held["source_id"])
    for part in rest.values():
        assert not held_ids & (set(part["source_id"]) | set(part["id"]))
    assert len(rest["train"]) + len(held) == len(tables["train"])
    assert len(rest["unlabelled"]) == len(tables["unlabelled"]) - len(held_ids)


def test_each_seed_holds_other_rows_out(tables):
    first, again, other = (set(ablation.hold_out(tables, 0.25, seed)[1]["id"]) for seed in (0, 0, 1))
    assert first == again != other


def test_a_class_with_one_row_keeps_it_and_one_with_two_gives_one(rows):
    train = rows([("a one", "a"), ("a two", "a"), ("b one", "b")])
    rest, held = ablation.hold_out(
        {"train": train, "validation": train.iloc[:0], "unlabelled": train.iloc[:0]}, 0.25, 0
    )
    assert held["label"].tolist() == ["a"]
    assert sorted(rest["train"]["label"]) == ["a", "b"]


def test_nothing_to_hold_out_raises(rows):
    train = rows([("a one", "a"), ("b one", "b")])
    with pytest.raises(UserError, match="expected a class with two labelled rows or more"):
        ablation.hold_out({"train": train, "validation": train.iloc[:0], "unlabelled": train.iloc[:0]}, 0.25, 0)


def test_a_validation_split_is_what_is_held_out(tables, rows):
    validation = rows([("never seen", "refund")])
    rest, held = ablation.hold_out(tables | {"validation": validation}, 0.25, 3)
    assert held["id"].tolist() == validation["id"].tolist()
    assert rest["validation"].empty and len(rest["train"]) == len(tables["train"])


def seeds(content, above=""):
    """Every seed of the params, by its dotted key."""
    for name, value in content.items():
        if isinstance(value, dict):
            yield from seeds(value, f"{above}{name}.")
        elif name == "seed":
            yield f"{above}{name}", value


def test_every_training_seed_is_shifted(content):
    shifted = ablation.shift_seeds(content, 2)
    training_seeds = {path: seed for path, seed in seeds(shifted) if path.split(".")[0] in TRAINING}
    assert training_seeds == dict.fromkeys(ablation.SEEDS, 2)
    assert shifted["ingest"]["seed"] == content["ingest"]["seed"]


def answers(right_full, right_other, seeds=2):
    """The answers of each seed to 100 rows: so many are right with everything, and so many without."""
    number = np.arange(100)
    table = pd.DataFrame({"id": [f"row {i}" for i in number], "label": "yes"})
    table["full"] = np.where(number < right_full, "yes", "no")
    table["other"] = np.where(number < right_other, "yes", "no")
    return [table] * seeds


def measure(answers, minutes=1.0, adds=False, min_rows=30):
    return ablation.measure_effect(Variant("x", {}, adds), answers, minutes, EVALUATE, min_rows)


@pytest.mark.parametrize(
    ("full", "other", "verdict"),
    [
        (90, 60, "paid"),
        (62, 60, "too few labels to tell"),
        (60, 60, "did not pay"),
        (50, 60, "did not pay"),
    ],
)
def test_the_verdict_follows_the_interval(full, other, verdict):
    effect = measure(answers(full, other), minutes=2.0)
    assert effect.verdict == verdict
    assert effect.points == pytest.approx(full - other)
    assert effect.low <= effect.points <= effect.high
    assert effect.per_minute == pytest.approx((full - other) / 2)


@pytest.mark.parametrize(("rows", "points"), [(24, 100 * 4 / 24), (40, 10.0), (1000, 0.4)])
def test_the_smallest_effect_that_can_be_told_is_where_the_bootstrap_tells_it(rows, points):
    assert telling_rows.smallest_telling_points(rows, 0.95) == pytest.approx(points)
    gained = round(rows * points / 100)
    lows = []
    for gain in (gained - 1, gained):
        sums, counts = np.repeat([1, 0], [gain, rows - gain]), np.ones(rows, dtype=np.int64)
        lows.append(ablation.gain_interval(sums, counts, EVALUATE.model_copy(update={"bootstrap": 4000}))[0])
    assert lows[0] == 0 < lows[1]


def test_an_addition_earns_what_it_adds():
    effect = measure(answers(60, 90), minutes=-3.0, adds=True)
    assert (effect.points, effect.minutes, effect.verdict) == (pytest.approx(30), 3.0, "paid")


def test_the_same_rows_in_more_seeds_are_no_more_evidence():
    one, many = (measure(answers(65, 60, seeds)) for seeds in (1, 5))
    assert (one.low, one.high) == pytest.approx((many.low, many.high))


def test_the_change_of_the_group_gap_is_measured():
    table = answers(100, 100)[0].assign(**{"group.site": ["a"] * 50 + ["b"] * 50})
    table["other"] = ["yes"] * 50 + ["no"] * 10 + ["yes"] * 40  # wrong in 10 of the 50 rows of b
    assert measure([table]).gap_points == pytest.approx(-20)
    assert measure([table], adds=True).gap_points == pytest.approx(20)
    assert np.isnan(measure([table], min_rows=60).gap_points)
