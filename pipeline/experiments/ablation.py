"""What each stage earned: params with one thing switched off, gold rows held out of everything, and a verdict.

The test split decides nothing here and is never opened.
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
from pipeline.core.params import Evaluate, validate
from pipeline.core.stage import Paths, write_json
from pipeline.experiments.stage_runner import changed, parse_changes
from pipeline.metrics import statistics

# What can be switched off, and how. A thing that the user's params leave off is not run; to have one judged that is
# off, it is named with `--with`. Add a line here for a new one.
OFF: dict[str, dict[str, Any]] = {
    "pretrain": {"pretrain.objective": "none", "pretrain.from_scratch": False},
    "synonyms": {"synonyms.variants": 0},
    "back_translate": {"back_translate.engine": "none"},
    "swaps": {"swaps.variants": 0, "swaps.pool": False},
    "reweighing": {"mitigation.reweighing": False},
    "offsets": {"mitigation.offsets.budget": None},
    "penalty": {"mitigation.penalty": 0.0},
    "pseudo_label": {"pseudo_label.teacher": "none"},
    "class names": {"pseudo_label.class_names": False},
    "names first": {"pseudo_label.names_first": False},
    "words": {"pseudo_label.words.mix_weights": []},
    "spreading": {"pseudo_label.spread": "none"},
    "whitened graph": {"pseudo_label.whiten_last_graph": False},
    "finetune": {"finetune.method": "teacher_head"},
}
# What can be added by name, as in ``--with lora``. Add a line here for a new one.
ON: dict[str, dict[str, Any]] = {
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
# Varied where a validation split is held out, the same in every seed; without one, each seed holds other rows out.
SEEDS = (
    *("pretrain.seed", "synonyms.seed", "swaps.seed"),
    *("pseudo_label.seed", "pseudo_label.finetuned.seed", "finetune.seed"),
)
TABLES = ("train", "validation", "unlabelled")
FULL = "everything"


@dataclass(frozen=True)
class Variant:
    """Params beside the user's own, and whether they have one thing less or one thing more."""

    name: str
    content: dict[str, Any]
    adds: bool


@dataclass(frozen=True)
class Earned:
    """What having one thing earned, in points of accuracy and macro-F1 and in minutes; points per minute may be nan.

    ``gap_points`` is by how much the group gap grew, in points of accuracy: below 0 it shrank; nan where no attribute
    has two groups with rows enough.
    """

    name: str
    points: float
    low: float
    high: float
    macro_f1_points: float
    gap_points: float
    minutes: float
    verdict: str

    @property
    def per_minute(self) -> float:
        """Points of accuracy for each extra minute; nan where it takes none."""
        return self.points / self.minutes if self.minutes > 0 else float("nan")


def variants(content: dict[str, Any], with_: Sequence[str] = (), only: Sequence[str] = ()) -> list[Variant]:
    """The user's params, then each that differs from them, every one under a name of its own.

    ``with_`` holds what to judge as additions: names out of `ON`, or changes: ``finetune.lr=1e-4,finetune.epochs=2``.
    Raises UserError for what is unknown or changes nothing.
    """
    unknown = [name for name in only if name not in OFF]
    if unknown:
        raise UserError(f"--only: expected some of {', '.join(OFF)}, found {', '.join(unknown)}")
    found = [Variant(FULL, content, adds=False)]
    for name, switch in OFF.items():
        less = changed(content, switch)
        if less != content and (not only or name in only):
            found.append(Variant(name, less, adds=False))
        elif name in only:
            raise UserError(
                f"--only {name}: expected what params.yaml has switched on, found it off; switch it on first"
            )
    taken = {one.name for one in found}
    for text in dict.fromkeys(with_):
        more = changed(content, ON[text] if text in ON else parse_changes(text))
        if more == content:
            raise UserError(f"--with {text}: expected values other than those of params.yaml, found the same")
        validate(more)
        found.append(Variant(f"with {text}" if text in taken else text, more, adds=True))
    return found


def reseeded(content: dict[str, Any], seed: int) -> dict[str, Any]:
    """The params with every training seed moved on by ``seed``."""
    now = {path: value_at(content, path) + seed for path in SEEDS}
    return changed(content, now)


def value_at(content: Mapping[str, Any], path: str) -> Any:
    """The value of a dotted key."""
    value: Any = content
    for key in path.split("."):
        value = value[key]
    return value


def read(paths: Paths) -> dict[str, pd.DataFrame]:
    """The tables of `ingest`, without test; UserError when there are none."""
    return {name: table.read(paths.data("ingest") / f"{name}.parquet") for name in TABLES}


def hold_out(tables: dict[str, pd.DataFrame], share: float, seed: int) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """The tables without the held-out rows and whatever derives from them, and the held-out rows.

    The validation split where there is one; else a share of each class's gold rows, drawn with the seed: near
    duplicates together, one row at least, and never all of a class.
    """
    held = tables["validation"]
    if held.empty:
        train = tables["train"]
        groups = draw(train[train["origin"].eq("gold") & train["label"].notna()], share, seed)
        held = train[train["source_id"].isin(groups) & train["label"].notna()]
    if held.empty:
        raise UserError(
            "ablate: expected a class with two labelled rows or more, or a validation split, found neither; "
            "label more rows: what is held out cannot train"
        )
    gone = set(held["source_id"])
    rest = {name: rows[~rows["source_id"].isin(gone)] for name, rows in tables.items()}
    return rest, held.reset_index(drop=True)


def draw(gold: pd.DataFrame, share: float, seed: int) -> set[str]:
    """``source_id`` of the groups to hold out: of each class a share, rounded, at least one of two or more."""
    random = np.random.default_rng(seed)
    groups = gold.drop_duplicates("source_id")
    taken: set[str] = set()
    for _, mine in groups.groupby("label", sort=True)["source_id"]:
        wanted = min(max(1, round(len(mine) * share)), len(mine) - 1)
        taken.update(random.permutation(sorted(mine))[:wanted].tolist())
    return taken


def write(tables: dict[str, pd.DataFrame], labels: Path, folder: Path) -> None:
    """The tables as an output of `ingest`, with labels.json; there is no test table among them."""
    for name, rows in tables.items():
        table.write(rows, folder / f"{name}.parquet")
    write_json(json.loads(labels.read_text(encoding="utf-8")), folder / "labels.json")


def earned(variant: Variant, answers: Sequence[pd.DataFrame], minutes: float, params: Evaluate, least: int) -> Earned:
    """Compare what everything and what the variant said of the held-out rows.

    ``answers`` is a table a seed: ``id``, true ``label``, ``full`` and ``other``, and ``group.<attr>``; ``minutes`` is
    what everything took beyond the variant; groups of fewer than ``least`` answers make no gap. The interval is a
    bootstrap over rows: one held out with several seeds is drawn with all of its answers.
    """
    sign = -1 if variant.adds else 1
    rows = pd.concat(answers)
    gain = sign * (rows["full"].eq(rows["label"]).astype(int) - rows["other"].eq(rows["label"]).astype(int))
    by_row = gain.groupby(rows["id"].to_numpy()).agg(["sum", "count"])
    low, high = interval(by_row["sum"].to_numpy(), by_row["count"].to_numpy(), params)
    points = float(gain.mean())
    f1 = np.mean([macro_f1(one["label"], one["full"]) - macro_f1(one["label"], one["other"]) for one in answers])
    wider = sign * (gap(rows, "full", least) - gap(rows, "other", least))
    percent = (100 * points, 100 * low, 100 * high, 100 * sign * float(f1), 100 * wider)
    return Earned(variant.name, *percent, sign * minutes, verdict(points, low))


def interval(gains: np.ndarray, counts: np.ndarray, params: Evaluate) -> tuple[float, float]:
    """Bootstrap interval of sum(gains) / sum(counts) over rows, at the level of ``evaluate.interval``."""
    random = np.random.default_rng(params.seed)
    drawn = np.concatenate(
        [statistics.resample(np.ones(len(gains), dtype=np.int64), 1, random) for _ in range(params.bootstrap)]
    )
    return statistics.percentiles((drawn @ gains) / (drawn @ counts), params.interval)


def verdict(points: float, low: float) -> str:
    """What the held-out rows say of a thing that earned ``points``, with ``low`` the lower end of their interval."""
    if points <= 0:
        return "did not pay"
    return "paid" if low > 0 else "too few labels to tell"


def accuracy(truth: "pd.Series[str]", answers: "pd.Series[str]") -> float:
    """Share of right answers."""
    return float(truth.eq(answers).mean())


def gap(rows: pd.DataFrame, answers: str, least: int) -> float:
    """The largest difference of accuracy between two groups of an attribute, each of ``least`` rows; else nan."""
    right, widest = rows[answers].eq(rows["label"]), float("nan")
    for column in table.group_columns(rows):
        by_group = right.groupby(rows[column]).agg(["mean", "size"])
        shares = by_group.loc[by_group["size"] >= least, "mean"]
        if len(shares) > 1:
            widest = float(np.nanmax([widest, shares.max() - shares.min()]))
    return widest


def macro_f1(truth: "pd.Series[str]", answers: "pd.Series[str]") -> float:
    """Mean F1 of the classes that occur."""
    names = sorted({*truth, *answers})
    places = {name: place for place, name in enumerate(names)}
    counts = statistics.confusion(truth.map(places).to_numpy(), answers.map(places).to_numpy(), len(names))
    return float(statistics.macro_f1(counts))
