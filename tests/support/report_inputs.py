"""A finished run as the report reads it: small, whole, and with awkward labels."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core import table
from pipeline.core.params import read_yaml, to_yaml
from pipeline.core.stage import write_json
from pipeline.stages.report.gather import IMAGES

ROOT = Path(__file__).parents[2]
LABELS = ["<script>alert(1)</script>", "a|b & *c*", "delivery", "refund"]
EVALUATE = {
    "accuracy": 0.8725,
    "accuracy_low": 0.8412,
    "accuracy_high": 0.9021,
    "macro_f1": 0.8634,
    "macro_f1_low": 0.8301,
    "macro_f1_high": 0.8955,
    "calibration_error": 0.0417,
    "log_loss": 0.4312,
    "test_rows": 40,
    "baseline": {
        "tfidf": {"accuracy": 0.7111, "macro_f1": 0.7022},
        "probe": {"accuracy": 0.8233, "macro_f1": 0.8144},
        "largest_class": {"accuracy": 0.2511, "macro_f1": 0.1002},
    },
    "abstention": {"method": "graph", "coverage": 0.925, "accuracy": 0.9189, "promised_coverage": 0.95},
    "gain_over_probe": 0.0492,
    "gain_over_probe_low": 0.0121,
    "gain_over_probe_high": 0.0873,
}
CHECKS = {
    "auc": {"class": "refund", "overall": 0.9123},
    "augmentations": {
        "synonyms": {"rows": 0, "terms_exchanged": 0, "terms_lost": 0},
        "back_translate": {"rows": 28, "terms_exchanged": 2, "terms_lost": 1},
    },
}
FAIRNESS = CHECKS | {
    "attributes": 1,
    "status": "ok",
    "customer.status": "ok",
    "customer.insufficient_groups": ["partner"],
    "customer.accuracy_gap": 0.0876,
    "customer.accuracy_gap_low": 0.0213,
    "customer.accuracy_gap_high": 0.1539,
}
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010804000000b51c0c020000000b4944415478da6364f80f00010501012718e366"
    "0000000049454e44ae426082"
)


def make_rows(origin: str, count: int, labelled: bool = True) -> pd.DataFrame:
    """Rows of one origin; each text has the word "secret", which must never reach a page that is shared."""
    ids = [f"{origin}-{i:03}" for i in range(count)]
    labels = [LABELS[i % len(LABELS)] if labelled else None for i in range(count)]
    texts = [f"secret text {i}" for i in range(count)]
    return table.make(id=ids, source_id=ids, text=texts, label=labels, origin=origin, weight=0.5)


def write_run(root: Path) -> Path:
    """Write the outputs of all stages before the report below ``root``, and return it."""
    shutil.copy(ROOT / "dvc.yaml", root)
    params = read_yaml(ROOT / "params.yaml")
    params["ingest"]["url"] = "postgresql://reader:hunter2@db.example/messages"
    (root / "params.yaml").write_text(to_yaml(params))
    data = root / "data"
    for stage in ("ingest", "pretrain", "synonyms", "back_translate", "swaps", "pseudo_label", "finetune", "export"):
        write_json({"seen": {"rows": 1234}, "note": "<i>"}, data / stage / "metrics.json")
    counts = {"read": 130, "train": 32, "validation": 0, "test": 40, "unlabelled": 56}
    write_json({"rows": counts, "classes": 4}, data / "ingest/metrics.json")
    offsets = {"reason": "chosen", "gap_before": 0.1234, "gap_after": 0.0567, "values": [0.1, 0.0, 0.0, 0.0]}
    calibration = {"temperature": 1.0, "temperature_from": "none: 0 validation rows"}
    write_json(calibration | {"offsets": offsets}, data / "export/metrics.json")
    pool = make_rows("unlabelled", 8, labelled=False)
    pool["text"] = [f"secret {('loan', 'visa')[i % 2]} of mine {i}" for i in range(8)]
    table.write(pool, data / "ingest/unlabelled.parquet")
    candidates = pd.DataFrame({"candidate": [1, 1, 1, 1, 2, 2, 2], "similarity": 0.9})
    candidates.insert(1, "id", [f"unlabelled-{i:03}" for i in (0, 2, 4, 6, 1, 3, 5)])
    candidates.to_parquet(data / "export/new_classes.parquet")
    write_json({"labels": LABELS, "descriptions": {"refund": "money back"}}, data / "ingest/labels.json")
    table.write(make_rows("gold", 32), data / "ingest/train.parquet")
    table.write(make_rows("gold", 40), data / "ingest/test.parquet")
    table.write(make_rows("synonym", 30), data / "synonyms/train.parquet")
    table.write(make_rows("back_translation", 28), data / "back_translate/train.parquet")
    table.write(make_rows("counterfactual", 3), data / "swaps/train.parquet")
    write_json({"rows": 3, "pool_rows": 0}, data / "swaps/metrics.json")
    table.write(make_rows("pseudo", 50), data / "pseudo_label/train.parquet")
    rejected = pd.DataFrame({"id": ["x", "y"], "reason": ["empty text", "conflicting labels"], "text": ["secret"] * 2})
    rejected.to_parquet(data / "ingest/rejected.parquet")
    write_pseudo_labels(data / "pseudo_label")
    table.write_csv(pd.DataFrame({"step": [10, 20], "loss": [0.71, 0.42]}), data / "finetune/history.csv")
    for image in IMAGES:
        (data / image).parent.mkdir(parents=True, exist_ok=True)
        (data / f"{image}.png").write_bytes(PIXEL)
    write_evaluation(data)
    write_explanations(data / "explain")
    return root


def write_pseudo_labels(folder: Path) -> None:
    """The outputs of pseudo_label; the second of its rounds was kept."""
    held_out = {"judged_by": "folds", "held_out_rows": 64, "lead": "names", "names_doubted": "", "foreign": 0}
    write_json({"round": 1, **held_out, "neighbour_agreement": 0.7123, "seen": {"rows": 1234}}, folder / "metrics.json")
    rounds = pd.DataFrame({"round": [0, 1, 2], "accepted": [0, 50, 70], "precision": [0.8111, 0.9123, 0.8876]})
    rounds["drift"] = [None, 0.0, 0.1357]
    shares = {f"{kind}.{label}": [0.25, 0.2345, 0.3] for kind in ("share", "prior") for label in LABELS}
    table.write_csv(rounds.assign(**shares), folder / "rounds.csv")
    measured = {"prior": [0.2345, 0.25, 0.25, 0.2655], "precision": [0.9, 0.6111, 1.0, None], "recall": 0.8}
    classes = pd.DataFrame({"class": LABELS, "accepted": [10, 20, 15, 5], "held_out_rows": 16, **measured})
    by_round = [classes.assign(round=0, accepted=0), classes.assign(round=1)]
    table.write_csv(pd.concat(by_round), folder / "classes.csv")
    groups = {"group": ["north", "+south", "few", "unknown"], "pool": [200, 100, 2, 10], "accepted": [150, 50, 2, 0]}
    counts = pd.DataFrame({"attribute": "region", **groups})
    table.write_csv(counts.assign(share=counts["accepted"] / counts["pool"]), folder / "groups.csv")


def write_evaluation(data: Path) -> None:
    """The outputs of evaluate and fairness."""
    test = make_rows("gold", 40)
    predicted = test["label"].mask(test.index < 6, "delivery")
    confidence = np.linspace(0.99, 0.31, 40)
    predictions = pd.DataFrame(
        {"id": test["id"], "label": test["label"], "predicted": predicted, "confidence": confidence}
    ).assign(reason=pd.Series({39: "unlike every class"}))
    predictions.to_parquet(data / "evaluate/predictions.parquet")
    names = [*LABELS, "macro avg", "weighted avg"]
    scores = {"precision": 0.8, "recall": 0.7, "f1-score": [0.91, 0.62, 0.73, 0.84, 0.8, 0.8], "support": 10}
    table.write_csv(pd.DataFrame({"class": names} | scores), data / "evaluate/per_class.csv")
    curve = {"coverage": [0.5, 1.0], "threshold": [0.4, 3.1], "rows": [20, 40], "accuracy": [0.95, 0.875]}
    table.write_csv(pd.DataFrame(curve), data / "evaluate/coverage.csv")
    groups = pd.DataFrame(
        {
            "attribute": "customer",
            "group": ["business", "1", "partner", "business"],
            "class": [None, None, None, "refund"],
            "rows": [20, 15, 5, 20],
            "positives": [None, None, None, 5],
            "status": ["ok", "ok", "insufficient", "insufficient"],
            "accuracy": [0.91, 0.82, 0.4, None],
            "true_positive_rate": [None, None, None, 0.6],
        }
    )
    table.write_csv(groups, data / "fairness/groups.csv")
    write_json(EVALUATE, data / "evaluate/metrics.json")
    write_json(FAIRNESS, data / "fairness/metrics.json")
    write_equity(data)


def write_equity(data: Path) -> None:
    """The outputs of counterfactual, and those of fairness on subgroups and augmentation."""
    flips: dict[str, Any] = {
        "rows": 40,
        "flips": 5,
        "flip_rate": 0.0834,
        "flip_rate_low": 0.0512,
        "flip_rate_high": 0.2567,
    }
    flips |= {"status": "ok", "mean_change": 0.0345, "mean_change_low": 0.0211, "mean_change_high": 0.0456}
    axis = {f"gender.en.{key}": value for key, value in flips.items()}
    counts = {"test_rows": 40, "rows_with_a_term": 40, "swaps": 40, "swaps_left_out": 0, "min_rows": 30}
    write_json(counts | {"axes": ["gender.en"], "status": "ok"} | axis, data / "counterfactual/metrics.json")
    direction = {"axis": "gender.en", "from": "women", "to": "men"}
    pair = direction | flips | {"gaining_label": LABELS[0], "gain": 0.0222, "gain_low": 0.01, "gain_high": 0.03}
    table.write_csv(pd.DataFrame([pair]), data / "counterfactual/pairs.csv")
    term = {"axis": "gender.en", "from": "women", "term": "=she"} | flips | {"signed_change": -0.0333}
    table.write_csv(pd.DataFrame([term]), data / "counterfactual/terms.csv")
    subgroup: dict[str, Any] = {
        "attribute": "customer",
        "group": "business",
        "class": "refund",
        "positives": 30,
        "negatives": 40,
    }
    kinds = {"kind": ["bpsn", "subgroup"], "status": ["ok", "insufficient"], "auc": [0.7654, None]}
    interval = {"auc_low": [0.7111, None], "auc_high": [0.8222, None]}
    table.write_csv(pd.DataFrame(kinds | interval).assign(**subgroup), data / "fairness/auc.csv")
    augmented: dict[str, Any] = {
        "stage": "back_translate",
        "attribute": "customer",
        "group": "business",
        "gold_rows": 20,
        "kept": 14,
    }
    augmented |= {"kept_per_gold_row": 0.7, "rejected": 6, "status": "insufficient", "agreement": 0.8765}
    augmented |= {
        "agreement_low": 0.8,
        "agreement_high": 0.9,
        "gold_agreement": 0.95,
        "terms_lost": 1,
        "terms_exchanged": 2,
    }
    table.write_csv(pd.DataFrame([augmented]), data / "fairness/augmentations.csv")


def write_explanations(folder: Path) -> None:
    """The outputs of explain; one method is better than chance, one is not, and one cannot explain the model."""
    metrics = {"errors": 2, "sample": 48, "methods": ["lime", "integrated_gradients"], "map_points": 1234}
    metrics |= {"better_than_random": ["lime"], "not_applicable": {"rollout": "the encoder gives no attentions"}}
    write_json(metrics | {"vectors_by": "the encoder"}, folder / "metrics.json")
    lines = [
        ("lime", "", "comprehensiveness", 0.4111, ""),
        ("lime", "random", "comprehensiveness", 0.2999, "yes"),
        ("lime", "integrated_gradients", "comprehensiveness", 0.2888, "yes"),
        ("lime", "", "sufficiency", 0.1777, ""),
        ("lime", "random", "sufficiency", -0.1666, "yes"),
        ("integrated_gradients", "", "comprehensiveness", 0.1223, ""),
        ("integrated_gradients", "random", "comprehensiveness", 0.0112, "unclear"),
        ("integrated_gradients", "lime", "comprehensiveness", -0.2888, "no"),
        ("integrated_gradients", "", "sufficiency", 0.3555, ""),
        ("integrated_gradients", "random", "sufficiency", 0.0113, "unclear"),
        ("random", "", "comprehensiveness", 0.1112, ""),
        ("random", "", "sufficiency", 0.3443, ""),
    ]
    measures = pd.DataFrame(lines, columns=["method", "against", "measure", "value", "better"])
    measures = measures.assign(low=measures["value"] - 0.01, high=measures["value"] + 0.01)
    table.write_csv(measures, folder / "faithfulness.csv")
    errors = pd.DataFrame({"id": ["gold-000", "gold-001"], "label": LABELS[0], "predicted": "delivery"})
    attributions: dict[str, Any] = {
        "starts": [[0, 7, 12]] * 2,
        "ends": [[6, 11, 13]] * 2,
    }  # of the words of "secret text 0"
    attributions["shares"] = [[0.7, -0.28, 0.02], [-0.5, 0.5, 0.0]]
    errors = errors.assign(method="lime", **attributions)
    numbers: dict[str, Any] = {"confidence": [0.99, 0.98], "words": 12, "half": 2, "score": 1.5, "table": 0.4}
    nearest: dict[str, Any] = {
        "neighbour": ["pseudo-001", "1234567890123456"],
        "label": ["delivery", LABELS[0]],
        "origin": ["pseudo", "gold"],
    }
    nearest |= {"similarity": [0.9876, 0.8765]}
    errors.assign(**numbers, **{f"nearest_{name}": values for name, values in nearest.items()}).to_parquet(
        folder / "errors.parquet"
    )
    (folder / "why.html").write_text("secret")
