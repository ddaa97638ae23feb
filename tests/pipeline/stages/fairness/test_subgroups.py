"""AUC by subgroup against scikit-learn's, and what augmentation did to each group against counts by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.stages import fairness
from pipeline.stages.fairness import auc
from pipeline.text import identity
from tests.pipeline.stages.fairness.test_fairness import PARAMS, ROOT, TWO_GROUPS, project, write_augmentation_inputs

FEW = PARAMS.model_copy(update={"min_group_size": 2, "auc_class": "yes"})


def scored(seed: int = 0, rows: int = 600) -> pd.DataFrame:
    """Test rows of two sites with scores; the negatives of site b score too high. Every tenth text mentions a woman."""
    rng = np.random.default_rng(seed)
    site = rng.choice(["a", "b"], rows)
    truth = rng.random(rows) < 0.5
    score = rng.normal(size=rows) + 2 * truth + 1.5 * ((site == "b") & ~truth)
    texts = [f"she said {i}" if i % 10 == 0 else f"text {i}" for i in range(rows)]
    yes = 1 / (1 + np.exp(-score))
    columns = {"text": texts, "group.site": site, "label": np.where(truth, "yes", "no"), "score.yes": yes}
    return pd.DataFrame(columns | {"score.no": 1 - yes})


def test_each_kind_of_auc_equals_scikit_learns_on_its_rows():
    rows = scored()
    by_subgroup, metrics = auc.measure(rows, identity.load(identity_terms()), FEW)
    aucs = by_subgroup.set_index(["attribute", "group", "kind"])["auc"]
    truth, score, b = rows["label"].eq("yes"), rows["score.yes"], rows["group.site"].eq("b")
    kinds = {"subgroup": b, "bpsn": (truth & ~b) | (~truth & b), "bnsp": (truth & b) | (~truth & ~b)}
    for kind, kept in kinds.items():
        assert aucs["site", "b", kind] == pytest.approx(roc_auc_score(truth[kept], score[kept]))
    assert aucs["site", "b", "bpsn"] < aucs["site", "a", "bpsn"], "b's negatives score too high"
    assert aucs["site", "b", "bnsp"] > aucs["site", "a", "bnsp"]
    assert metrics["class"] == "yes" and metrics["overall"] == pytest.approx(roc_auc_score(truth, score))
    assert metrics["lowest_bpsn_group"] == "site: b"
    mention = by_subgroup[by_subgroup["attribute"].eq("mention gender.en")].set_index("kind")
    assert mention.loc["subgroup", ["positives", "negatives"]].sum() == 60


def identity_terms():
    return ROOT / "data" / "identity_terms"


def test_intervals_hold_the_true_auc_with_about_their_probability():
    rng = np.random.default_rng(1)
    true_auc = 0.7602  # of two normal distributions one standard deviation apart
    hits = 0
    for _ in range(200):
        _, low, high = auc.delong(rng.normal(1, 1, 60), rng.normal(0, 1, 60), 0.95)
        hits += low <= true_auc <= high
    assert 184 <= hits <= 198


def test_a_perfect_ranking_has_an_interval_of_positive_width():
    assert auc.delong(np.arange(40) + 100.0, np.arange(40.0), 0.95) == pytest.approx((1.0, 0.9124, 1.0), abs=1e-3)


def test_few_rows_are_insufficient_and_many_classes_need_a_named_one(tmp_path):
    rows = scored(rows=40)
    by_subgroup, metrics = auc.measure(rows, {}, PARAMS)
    assert set(by_subgroup["status"]) == {"insufficient"} and by_subgroup["auc"].isna().all()
    assert metrics["lowest_subgroup"] is None and metrics["insufficient"] == len(by_subgroup) == 6
    three_classes = rows.assign(**{"score.maybe": 0.0})
    by_subgroup, metrics = auc.measure(three_classes, {}, PARAMS)
    assert by_subgroup.empty and metrics == {"class": None, "reason": "3 classes: name one under fairness.auc_class"}
    with pytest.raises(UserError, match=r"fairness\.auc_class: expected one of .*yes.*, found oui"):
        auc.measure(three_classes, {}, PARAMS.model_copy(update={"auc_class": "oui"}))


def augmented_row(stage: str, gold: pd.DataFrame, position: int, text: str, origin: str) -> pd.DataFrame:
    """A row that a stage made of the gold row in this position."""
    source = gold.iloc[[position]]
    id = table.row_id(f"{stage}/{source['id'].iloc[0]}", text)
    return table.make(
        id=[id], source_id=source["source_id"].tolist(), text=[text], label=source["label"].tolist(), origin=origin,
        groups=source,
    )  # fmt: skip


def test_what_augmentation_did_is_counted_by_group_and_mention(tmp_path):
    paths = project(tmp_path, TWO_GROUPS)
    ids = ["g0", "g1", "g2"]
    groups = pd.DataFrame({"group.site": ["a", "a", "b"]})
    texts = ["she was good", "good work", "bad luck"]
    # All have one source, so that only its id tells from which row an augmented row was made.
    gold = table.make(
        id=ids, source_id=["g0"] * 3, text=texts, label=["yes", "yes", "no"], origin="gold", groups=groups
    )
    (paths.data("export") / "bundle").rename(tmp_path / "replaced")
    (tmp_path / "data" / "identity_terms").unlink()
    back = [augmented_row("back_translate", gold, 0, "he was good", "back_translation")]
    back += [augmented_row("back_translate", gold, 2, "good luck", "back_translation")]
    synonyms = [
        augmented_row("synonyms", gold, 1, "good job", "synonym"),
        augmented_row("synonyms", gold, 0, "was good", "synonym"),
    ]
    write_augmentation_inputs(paths, gold, synonyms=pd.concat(synonyms), back_translate=pd.concat(back))
    rejected = pd.DataFrame({"id": ["g1"], "source_id": ["g0"], "text": ["good work"], "reason": ["identical"]})
    rejected.to_parquet(paths.data("back_translate") / "rejected.parquet")
    metrics = fairness.run(PARAMS, paths)
    assert metrics["augmentations"]["back_translate"] == {"rows": 2, "terms_exchanged": 1, "terms_lost": 0}
    assert metrics["augmentations"]["synonyms"] == {"rows": 2, "terms_exchanged": 0, "terms_lost": 1}
    by_group = pd.read_csv(paths.data("fairness") / "augmentations.csv").set_index(["stage", "attribute", "group"])
    a, b = (by_group.loc[("back_translate", "site", site)] for site in "ab")
    assert a[["gold_rows", "kept", "kept_per_gold_row", "rejected", "terms_exchanged"]].tolist() == [2, 1, 0.5, 1, 1]
    assert b[["gold_rows", "kept", "rejected", "agreement", "gold_agreement"]].tolist() == [1, 1, 0, 0, 1]
    women = by_group.loc[("synonyms", "mention gender.en", "women")]
    assert women[["gold_rows", "kept", "terms_lost", "agreement", "status"]].tolist() == [1, 1, 1, 1, "insufficient"]
    assert pd.isna(by_group.loc[("synonyms", "all", "all"), "rejected"])
