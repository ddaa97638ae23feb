"""Ablation: what each stage earns, measured by switching it off, on gold rows that are held out of everything.

The test split is never opened here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Evaluate, validate_params
from pipeline.core.stage import Paths, write_json
from pipeline.experiments.stage_runner import apply_changes, parse_changes
from pipeline.metrics import statistics
from pipeline.metrics.label_scores import accuracy_gap, macro_f1

# What can be switched off, and how. A variant runs only if the user's params have the thing switched on; what they have
# switched off can be added with `--with`. A new variant is a line here.
SWITCHED_OFF: dict[str, dict[str, Any]] = {
    "pretrain": {"pretrain.objective": "none", "pretrain.from_scratch": False},
    "synonyms": {"synonyms.variants": 0},
    "back_translate": {"back_translate.engine": "none"},
    "swaps": {"swaps.variants": 0, "swaps.pool": False},
    "reweighing": {"mitigation.reweighing": False},
    "offsets": {"mitigation.offsets.budget": None},
    "penalty": {"mitigation.penalty": 0.0},
    "pseudo_label": {"pseudo_label.teacher": "none"},
    "class names": {"pseudo_label.class_names": False},
    "words": {"pseudo_label.word_view": False},
    "rounds after the first": {"pseudo_label.rounds": 1},
    "spreading": {"pseudo_label.spread": "none"},
    "finetune": {"finetune.method": "teacher_head"},
}
# What can be added by name, as in ``--with lora``. A new addition is a line here.
ADDITIONS: dict[str, dict[str, Any]] = {
    "synonyms": {"synonyms.variants": 1},
    "back_translate": {"back_translate.engine": "apertium"},
    "mlm": {"pretrain.objective": "mlm"},
    "simcse": {"pretrain.objective": "simcse"},
    "latent teacher": {"pseudo_label.teacher": "latent"},
    "finetuned teacher": {"pseudo_label.teacher": "finetuned"},
    "clusters": {"pseudo_label.spread": "clusters"},
    "finetune": {"finetune.method": "full"},
    "joint objective": {"finetune.method": "full", "finetune.joint_weight": 1.0},
    "adversarial": {"finetune.method": "full", "finetune.adversarial": 0.5},
    "ensemble": {"finetune.method": "full", "finetune.students": 3},
    "lora": {"finetune.method": "lora", "finetune.lr": 1e-3},
    "adalora": {"finetune.method": "adalora", "finetune.lr": 1e-3},
    "prefix": {"finetune.method": "prefix", "finetune.lr": 1e-3},
    "bottleneck": {"finetune.method": "bottleneck", "finetune.lr": 1e-3},
    "reweighing": {"mitigation.reweighing": True},
    "swaps": {"swaps.variants": 1},
    "swapped pool": {"swaps.variants": 1, "swaps.pool": True},
    "offsets": {"mitigation.offsets.budget": 0.01},
    "penalty": {"finetune.method": "full", "mitigation.penalty": 1.0},
}
# Seeds that are shifted where the validation split is held out, which is the same each time. Without such a split they
# stay, because each seed of the ablation holds other rows out.
SEEDS = (
    *("pretrain.seed", "synonyms.seed", "swaps.seed"),
    *("pseudo_label.seed", "pseudo_label.finetuned.seed", "finetune.seed"),
)
TABLES = ("train", "validation", "unlabelled")
EVERYTHING = "everything"


@dataclass(frozen=True)
class Variant:
    """A variant of the user's params, which lacks one thing or adds one."""

    name: str
    content: dict[str, Any]
    adds: bool


@dataclass(frozen=True)
class Effect:
    """What having one thing earned. A point is 0.01."""

    name: str
    points: float  # of accuracy, with the bootstrap interval from low to high
    low: float
    high: float
    macro_f1_points: float
    gap_points: float  # increase of the group gap; nan where no attribute has two groups of enough rows
    minutes: float  # how much longer training takes with it
    verdict: str

    @property
    def per_minute(self) -> float:
        """Points of accuracy for each extra minute; nan where there is no extra minute."""
        return self.points / self.minutes if self.minutes > 0 else float("nan")


def list_variants(content: dict[str, Any], additions: Sequence[str] = (), only: Sequence[str] = ()) -> list[Variant]:
    """The user's params, then their variants, each with a unique name.

    ``additions`` are names of `ADDITIONS`, or changes such as ``finetune.lr=1e-4,finetune.epochs=2``. ``only`` are
    names of `SWITCHED_OFF`; none stand for all. Raises UserError if a name is unknown or a variant changes nothing.
    """
    unknown = [name for name in only if name not in SWITCHED_OFF]
    if unknown:
        raise UserError(f"--only: expected some of {', '.join(SWITCHED_OFF)}, found {', '.join(unknown)}")
    variants = [Variant(EVERYTHING, content, adds=False)]
    for name, switch in SWITCHED_OFF.items():
        less = apply_changes(content, switch)
        if less != content and (not only or name in only):
            variants.append(Variant(name, less, adds=False))
        elif name in only:
            raise UserError(
                f"--only {name}: expected what params.yaml has switched on, found it off; switch it on first"
            )
    names = {variant.name for variant in variants}
    for text in dict.fromkeys(additions):
        more = apply_changes(content, ADDITIONS[text] if text in ADDITIONS else parse_changes(text))
        if more == content:
            raise UserError(f"--with {text}: expected values other than those of params.yaml, found the same")
        validate_params(more)
        variants.append(Variant(f"with {text}" if text in names else text, more, adds=True))
    return variants


def shift_seeds(content: dict[str, Any], seed: int) -> dict[str, Any]:
    """The params with ``seed`` added to every training seed."""
    return apply_changes(content, {path: value_at(content, path) + seed for path in SEEDS})


def value_at(content: Mapping[str, Any], path: str) -> Any:
    """The value of a dotted key."""
    value: Any = content
    for key in path.split("."):
        value = value[key]
    return value


def read_tables(paths: Paths) -> dict[str, pd.DataFrame]:
    """The tables of ingest, without the test split. Raises UserError if there are none."""
    return {name: table.read(paths.data("ingest") / f"{name}.parquet") for name in TABLES}


def hold_out(tables: dict[str, pd.DataFrame], share: float, seed: int) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """The tables without the held-out rows and all rows that derive from them, and the held-out rows.

    The validation split is held out where there is one. Otherwise a ``share``, 0 to 1, of each class's gold rows is
    drawn with the seed: near duplicates together, at least one row of a class, and never all of them.

    Raises UserError if there is no row to hold out.
    """
    held = tables["validation"]
    if held.empty:
        train = tables["train"]
        groups = draw_groups(train[train["origin"].eq("gold") & train["label"].notna()], share, seed)
        held = train[train["source_id"].isin(groups) & train["label"].notna()]
    if held.empty:
        raise UserError(
            "ablate: expected a class with two labelled rows or more, or a validation split, found neither; "
            "label more rows: what is held out cannot train"
        )
    held_ids = set(held["source_id"])
    rest = {name: rows[~rows["source_id"].isin(held_ids)] for name, rows in tables.items()}
    return rest, held.reset_index(drop=True)


def draw_groups(gold: pd.DataFrame, share: float, seed: int) -> set[str]:
    """The source ids to hold out: a rounded ``share`` of each class's ids, at least one where there are two or more."""
    random = np.random.default_rng(seed)
    groups = gold.drop_duplicates("source_id")
    drawn: set[str] = set()
    for _, ids in groups.groupby("label", sort=True)["source_id"]:
        count = min(max(1, round(len(ids) * share)), len(ids) - 1)
        drawn.update(random.permutation(sorted(ids))[:count].tolist())
    return drawn


def write_tables(tables: dict[str, pd.DataFrame], labels: Path, folder: Path) -> None:
    """Write the tables, and the file ``labels``, as an output of ingest without a test split."""
    for name, rows in tables.items():
        table.write(rows, folder / f"{name}.parquet")
    write_json(json.loads(labels.read_text(encoding="utf-8")), folder / "labels.json")


def measure_effect(
    variant: Variant, answers: Sequence[pd.DataFrame], minutes: float, params: Evaluate, min_rows: int
) -> Effect:
    """Compare the answers with everything to those of the variant, on the held-out rows.

    ``answers`` has a table for each seed, with the columns ``id``, ``label``, ``full`` (the label given with
    everything), ``other`` (the label given by the variant) and the group attributes. ``minutes`` is how much longer the
    training with everything took. Groups of fewer than ``min_rows`` answers are left out of the gap. The interval is a
    bootstrap over rows: a row that several seeds held out is drawn with all its answers.
    """
    sign = -1 if variant.adds else 1
    rows = pd.concat(answers)
    gain = sign * (rows["full"].eq(rows["label"]).astype(int) - rows["other"].eq(rows["label"]).astype(int))
    by_row = gain.groupby(rows["id"].to_numpy()).agg(["sum", "count"])
    low, high = gain_interval(by_row["sum"].to_numpy(), by_row["count"].to_numpy(), params)
    points = float(gain.mean())
    f1_gains = [macro_f1(seed["label"], seed["full"]) - macro_f1(seed["label"], seed["other"]) for seed in answers]
    gap_increase = sign * (accuracy_gap(rows, "full", min_rows) - accuracy_gap(rows, "other", min_rows))
    in_points = (100 * points, 100 * low, 100 * high, 100 * sign * float(np.mean(f1_gains)), 100 * gap_increase)
    return Effect(variant.name, *in_points, sign * minutes, verdict_of(points, low))


def gain_interval(gains: np.ndarray, counts: np.ndarray, params: Evaluate) -> tuple[float, float]:
    """Bootstrap interval over rows of sum(gains) / sum(counts), at the level of ``evaluate.interval``.

    ``gains`` are the sums of each row's gains over its answers, ``counts`` the numbers of answers, both (rows,), int64.
    """
    random = np.random.default_rng(params.seed)
    drawn = np.concatenate(
        [statistics.resample(np.ones(len(gains), dtype=np.int64), 1, random) for _ in range(params.bootstrap)]
    )
    return statistics.percentile_interval((drawn @ gains) / (drawn @ counts), params.interval)


def verdict_of(points: float, low: float) -> str:
    """The verdict on a thing that earned ``points``, where ``low`` is the lower end of their interval."""
    if points <= 0:
        return "did not pay"
    return "paid" if low > 0 else "too few labels to tell"
