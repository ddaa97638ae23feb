"""What each stage earned: which variants there are, what is held out, what the verdict is, and one whole ablation."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cli import ablate
from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Evaluate, read_yaml, to_yaml
from pipeline.core.stage import write_json
from pipeline.experiments import ablation
from pipeline.experiments.ablation import Variant
from pipeline.experiments.stage_cache import bring, key, root_for
from pipeline.experiments.stage_runner import parse_changes

ROOT = Path(__file__).parents[3]
EVALUATE = Evaluate(bootstrap=500, interval=0.95, baseline_inverse_l2=10.0, seed=0)


@pytest.fixture
def content():
    return read_yaml(ROOT / "params.yaml")


def test_a_variant_has_one_thing_less_and_is_there_only_where_the_params_have_it(content):
    content["finetune"]["method"] = "full"
    names = [one.name for one in ablation.variants(content)]
    assert names == [
        "everything",
        "synonyms",
        "back_translate",
        "pseudo_label",
        "class names",
        "names first",
        "words",
        "spreading",
        "whitened graph",
        "finetune",
    ]
    content["synonyms"]["variants"] = 0
    content["pretrain"]["objective"] = "mlm"
    assert [one.name for one in ablation.variants(content)][1:3] == ["pretrain", "back_translate"]


def test_additions_are_changes_of_the_users_params(content):
    added = ablation.variants(content, with_=["finetune.lr=1e-4,finetune.epochs=2"], only=["synonyms"])
    assert [(one.name, one.adds) for one in added] == [
        ("everything", False),
        ("synonyms", False),
        ("finetune.lr=1e-4,finetune.epochs=2", True),
    ]
    assert added[2].content["finetune"] | {"lr": 2e-5, "epochs": 1} == content["finetune"]


@pytest.mark.parametrize(
    ("with_", "only", "said"),
    [
        (["finetune.shoe=1"], [], "finetune.shoe: expected a key of params.yaml"),
        (["finetune.lr=fast"], [], "finetune.lr: expected"),
        (["finetune.lr=2e-5"], [], "found the same"),
        (["shoes"], [], 'found "shoes"'),
        ([], ["shoes"], "--only: expected some of pretrain"),
        ([], ["synonyms", "pretrain"], "--only pretrain: expected what params.yaml has switched on, found it off"),
    ],
)
def test_mistakes_are_named(content, with_, only, said):
    with pytest.raises(UserError, match=said):
        ablation.variants(content, with_, only)


def test_every_variant_has_a_name_of_its_own(content):
    content["finetune"]["method"] = "lora"
    names = [one.name for one in ablation.variants(content, ["finetune", "clusters", "clusters"], ["finetune"])]
    assert names == ["everything", "finetune", "with finetune", "clusters"]


def test_every_switch_names_keys_of_the_params(content):
    for switch in [*ablation.OFF.values(), *ablation.ON.values()]:
        assert ablation.validate(ablation.changed(content, switch))


def test_a_known_addition_has_a_name(content):
    added = ablation.variants(content, with_=["lora"], only=["synonyms"])[-1]
    assert (added.name, added.adds, added.content["finetune"]["method"]) == ("lora", True, "lora")


def test_a_comma_inside_a_list_is_no_further_change():
    assert parse_changes("a.b=[1, 2],c.d_e=x") == {"a.b": [1, 2], "c.d_e": "x"}


@pytest.fixture
def tables(rows, pairs):
    train = rows(pairs[:30])
    near = rows([(f"{pairs[0][0]} indeed", pairs[0][1])], source_id=[train["id"][0]])
    pool = rows([(text, None) for text, _ in pairs[30:60]], origin="unlabelled")
    copies = rows([(f"{text} copy", None) for text, _ in pairs[:30]], origin="unlabelled", source_id=list(train["id"]))
    train = pd.concat([train, near])
    return {"train": train, "validation": train.iloc[:0], "unlabelled": pd.concat([pool, copies])}


def test_a_share_of_each_class_is_held_out_of_every_table_with_what_derives_from_it(tables):
    rest, held = ablation.hold_out(tables, 0.25, seed=1)
    assert held.groupby("label")["source_id"].nunique().tolist() == [2, 2, 2]
    gone = set(held["source_id"])
    for part in rest.values():
        assert not gone & (set(part["source_id"]) | set(part["id"]))
    assert len(rest["train"]) + len(held) == len(tables["train"])
    assert len(rest["unlabelled"]) == len(tables["unlabelled"]) - len(gone)


def test_seeds_hold_other_rows_out(tables):
    first, again, other = (set(ablation.hold_out(tables, 0.25, seed)[1]["id"]) for seed in (0, 0, 1))
    assert first == again != other


def test_a_class_with_one_row_keeps_it_and_one_with_two_gives_one(rows):
    train = rows([("a one", "a"), ("a two", "a"), ("b one", "b")])
    rest, held = ablation.hold_out(
        {"train": train, "validation": train.iloc[:0], "unlabelled": train.iloc[:0]}, 0.25, 0
    )
    assert held["label"].tolist() == ["a"]
    assert sorted(rest["train"]["label"]) == ["a", "b"]


def test_nothing_to_hold_out_is_the_users_to_mend(rows):
    train = rows([("a one", "a"), ("b one", "b")])
    with pytest.raises(UserError, match="expected a class with two labelled rows or more"):
        ablation.hold_out({"train": train, "validation": train.iloc[:0], "unlabelled": train.iloc[:0]}, 0.25, 0)


def test_a_validation_split_is_what_is_held_out(tables, rows):
    validation = rows([("never seen", "refund")])
    rest, held = ablation.hold_out(tables | {"validation": validation}, 0.25, 3)
    assert held["id"].tolist() == validation["id"].tolist()
    assert rest["validation"].empty and len(rest["train"]) == len(tables["train"])


TRAIN = ("pretrain", "synonyms", "back_translate", "swaps", "pseudo_label", "finetune")  # that follow ingest


def seeds(content, above=""):
    """Every seed of the params, by its dotted key."""
    for name, value in content.items():
        if isinstance(value, dict):
            yield from seeds(value, f"{above}{name}.")
        elif name == "seed":
            yield f"{above}{name}", value


def test_every_training_seed_moves_on(content):
    moved = ablation.reseeded(content, 2)
    assert {path: seed for path, seed in seeds(moved) if path.split(".")[0] in TRAIN} == dict.fromkeys(
        ablation.SEEDS, 2
    )
    assert moved["ingest"]["seed"] == content["ingest"]["seed"]


def answers(right_full, right_other, seeds=2):
    """So many rows answered right with everything, so many without, of 100 in each seed."""
    number = np.arange(100)
    one = pd.DataFrame({"id": [f"row {i}" for i in number], "label": "yes"})
    one["full"], one["other"] = np.where(number < right_full, "yes", "no"), np.where(number < right_other, "yes", "no")
    return [one] * seeds


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
    found = ablation.earned(Variant("x", {}, adds=False), answers(full, other), 2.0, EVALUATE, 30)
    assert found.verdict == verdict
    assert found.points == pytest.approx(full - other)
    assert found.low <= found.points <= found.high
    assert found.per_minute == pytest.approx((full - other) / 2)


def test_an_addition_earns_what_it_adds():
    found = ablation.earned(Variant("x", {}, adds=True), answers(60, 90), -3.0, EVALUATE, 30)
    assert (found.points, found.minutes, found.verdict) == (pytest.approx(30), 3.0, "paid")


def test_the_same_rows_in_more_seeds_are_no_more_evidence():
    one, many = (
        ablation.earned(Variant("x", {}, adds=False), answers(65, 60, seeds), 1.0, EVALUATE, 30) for seeds in (1, 5)
    )
    assert (one.low, one.high) == pytest.approx((many.low, many.high))


def test_the_group_gap_is_told_beside_the_points():
    one = answers(100, 100)[0].assign(**{"group.site": ["a"] * 50 + ["b"] * 50})
    one["other"] = ["yes"] * 50 + ["no"] * 10 + ["yes"] * 40  # wrong in 10 of the 50 rows of b
    found = ablation.earned(Variant("x", {}, adds=False), [one], 1.0, EVALUATE, 30)
    assert found.gap_points == pytest.approx(-20)
    assert ablation.earned(Variant("x", {}, adds=True), [one], 1.0, EVALUATE, 30).gap_points == pytest.approx(20)
    assert np.isnan(ablation.earned(Variant("x", {}, adds=False), [one], 1.0, EVALUATE, 60).gap_points)
    assert ablate.cells(found)[4] == "-20.0"


def test_no_extra_minutes_have_no_rate():
    found = ablation.earned(Variant("x", {}, adds=False), answers(90, 60), -0.5, EVALUATE, 30)
    assert ablate.cells(found)[6] == "-"


def project(root, content, tables):
    """A project after `ingest`, whose test table nobody can read."""
    (root / "params.yaml").write_text(to_yaml(content))
    for name, rows in tables.items():
        table.write(rows, root / "data" / "ingest" / f"{name}.parquet")
    (root / "data" / "ingest" / "test.parquet").write_bytes(b"closed")
    labels = sorted(tables["train"]["label"].unique())
    write_json({"labels": labels, "descriptions": {}}, root / "data" / "ingest" / "labels.json")
    return root


@pytest.fixture
def few(params):
    """Params that train the tiny encoder for a few steps."""
    changes = {
        "back_translate": {"engine": "none"},
        "synonyms": {"variants": 0},
        "pseudo_label": {"rounds": 1, "neighbours": 3, "folds": 2},
        "finetune": {"max_steps": 2, "batch_size": 8},
        "evaluate": {"bootstrap": 100},
    }
    return params(changes).model_dump(mode="json")


def test_an_output_depends_on_params_and_inputs(tmp_path, few, tables):
    root = project(tmp_path, few, tables)
    before = key("synonyms", root)
    assert key("synonyms", root) == before
    few["synonyms"]["share"] = 0.5
    (root / "params.yaml").write_text(to_yaml(few))
    changed = key("synonyms", root)
    table.write(tables["train"].iloc[:5], root / "data" / "ingest" / "train.parquet")
    assert len({before, changed, key("synonyms", root)}) == 3


@pytest.mark.slow
def test_an_output_is_made_once_for_all_roots(tmp_path, few, tables):
    ingest = project(tmp_path, few, tables) / "data" / "ingest"
    roots = [root_for(tmp_path / name, ingest, few, tmp_path / "vectors") for name in ("one", "two")]
    first, again = (bring("synonyms", root, tmp_path / "kept") for root in roots)
    assert first == again
    assert not (roots[1] / "synonyms.log").exists()
    assert (roots[1] / "data" / "synonyms" / "train.parquet").exists()


@pytest.mark.slow
def test_an_ablation_from_end_to_end_and_again(tmp_path, few, tables, monkeypatch, capsys):
    root = project(tmp_path, few, tables)
    selection = (2, 0.25, ["finetune.max_steps=3"], ["class names"])
    assert ablate.main(root, *selection) == 0
    said = capsys.readouterr().out
    assert "2 seed(s)" in said and "distinct rows" in said
    place = root / "data" / "scratch" / "ablate"
    with (place / "ablation.csv").open() as file:
        rows = {row["having"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"class names", "finetune.max_steps=3"}
    assert {row["verdict"] for row in rows.values()} <= {"paid", "did not pay", "too few labels to tell"}
    assert "| finetune.max_steps=3 |" in (place / "ablation.md").read_text()
    for seed in (0, 1):
        _, held = ablation.hold_out(tables, 0.25, seed)
        for path in place.glob(f"seed-{seed}/**/*.parquet"):
            assert not set(held["id"]) & set(pd.read_parquet(path)["id"]), path
    monkeypatch.setattr(
        "pipeline.experiments.stage_cache.run_stage", lambda stage, root: pytest.fail(f"{stage} ran again")
    )
    assert ablate.main(root, *selection) == 0


def test_the_failure_of_a_variant_is_a_row(capsys):
    ablate.show("summary", [], {"finetune.lr=3": "finetune, exit code 1: out of memory"})
    assert "out of memory" in capsys.readouterr().out
