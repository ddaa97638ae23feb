"""The command `gleaner ablate`: train without one thing at a time, and print what each of them earned.

Everything is kept in data/scratch/ablate/: a killed run resumes where it stopped.
"""

import hashlib
import math
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Params, load_params, read_yaml, validate_params
from pipeline.core.stage import Paths, read_json, write_atomically, write_json
from pipeline.experiments import ablation, stage_cache
from pipeline.experiments.ablation import EVERYTHING, Effect, Variant
from pipeline.experiments.stage_runner import StageCost, StageFailed, seconds_per_text, stage_names
from pipeline.metrics import label_scores
from pipeline.mitigation import offset_selection

if TYPE_CHECKING:
    import pandas as pd

FIRST, LAST = "pretrain", "finetune"  # no model is exported: the network itself predicts
COLUMNS = (
    *("having", "accuracy points", "interval", "macro-F1 points", "group gap points", "extra minutes"),
    *("points a minute", "verdict"),
)


@dataclass(frozen=True)
class Trial:
    """The predictions of one variant on the held-out rows of one seed.

    ``seconds`` are what its stages take with no vector known beforehand.
    """

    answers: list[str]
    seconds: float


@dataclass(frozen=True)
class Trials:
    """The held-out rows of each seed, the trials of each variant in the order of the seeds, and why variants failed."""

    held: list["pd.DataFrame"]
    of: dict[str, list[Trial]]
    failed: dict[str, str]


def main(root: Path, seeds: int, share: float, with_: Sequence[str], only: Sequence[str]) -> int:
    """Run what is missing, print the table and write it; exit code 0, or 1 when a variant failed."""
    params = load_params(root / "params.yaml")
    paths = Paths(root)
    tables = ablation.read_tables(paths)
    variants = ablation.list_variants(read_yaml(root / "params.yaml"), with_, only)
    trials = run_variants(variants, tables, range(seeds), share, paths)
    effects = [
        evaluate_variant(variant, trials, params)
        for variant in variants
        if variant.name != EVERYTHING and variant.name not in trials.failed
    ]
    from_validation = not tables["validation"].empty
    summary = summary_line(trials, from_validation, params.fairness.min_group_size)
    print_table(summary, effects, trials.failed)
    write_tables(summary, effects, trials.failed, paths)
    return 1 if trials.failed else 0


def run_variants(
    variants: list[Variant], tables: dict[str, "pd.DataFrame"], seeds: Iterable[int], share: float, paths: Paths
) -> Trials:
    """Run every variant with every seed; a variant that fails is not run again.

    Raises UserError where training with everything fails.
    """
    trials = Trials([], {variant.name: [] for variant in variants}, {})
    for seed in seeds:
        rest, rows = ablation.hold_out(tables, share, seed)
        place = paths.scratch("ablate") / f"seed-{seed}"
        ablation.write_tables(rest, paths.data("ingest") / "labels.json", place / "ingest")
        trials.held.append(rows)
        for variant in (one for one in variants if one.name not in trials.failed):
            content = variant.content if tables["validation"].empty else ablation.shift_seeds(variant.content, seed)
            try:
                trials.of[variant.name].append(run_variant(variant.name, content, place, rows, paths))
            except (UserError, StageFailed) as error:
                if variant.name == EVERYTHING:
                    raise UserError(f"ablate: expected params.yaml to train, found: {error}") from None
                trials.failed[variant.name] = str(error)
    return trials


def run_variant(name: str, content: dict[str, Any], place: Path, held: "pd.DataFrame", paths: Paths) -> Trial:
    """Train by these params on all rows but the held-out ones, and let the network predict those."""
    params = validate_params(content)
    kept = paths.scratch("ablate") / "stages"
    slug = hashlib.sha256(name.encode()).hexdigest()[:8]
    root = stage_cache.make_root(place / slug, place / "ingest", content, paths.scratch("embeddings"))
    moving = repr((params.mitigation, params.fairness)) if params.mitigation.offsets.budget is not None else ""
    asked = hashlib.sha256("".join([moving, *held["id"], *held["text"]]).encode()).hexdigest()[:16]
    ran: list[StageCost] = []
    for stage in stage_names(LAST, FIRST):
        print(f"{place.name}, {'with everything' if name == EVERYTHING else name}: {stage}", flush=True)
        folder, one = stage_cache.run_cached(stage, root, kept)
        ran.append(one)
    file = folder / f"answers-{asked}.json"
    if not file.exists():
        if not (folder / "model").exists():  # it answered other rows before, and was not kept
            stage_cache.remove_folder(folder)
            folder, ran[-1] = stage_cache.run_cached(LAST, root, kept)
        moved = offset_selection.select_offsets(
            folder / "model", ablation.read_tables(Paths(root)), params.fairness, params.mitigation, Paths(root)
        )
        found = stage_cache.predict_labels(folder / "model", held["text"].tolist(), params.encoder.batch_size, moved)
        write_json(found, file)
        shutil.rmtree(folder / "model")  # as large as the encoder, once for each variant and seed
    speed = embedding_speed(root, params, kept)
    return Trial(read_json(file), sum(one.cold_seconds(speed) for one in ran))


def embedding_speed(root: Path, params: Params, kept: Path) -> float:
    """Seconds that the vector of one text takes, measured once and kept.

    A variant that finds its vectors in the cache is charged for them all the same.
    """
    from pipeline.models import encoder as encoders

    folder = Paths(root).data("pretrain") / "encoder"
    how = hashlib.sha256(f"{encoders.weights_digest(folder)} {params.encoder}".encode()).hexdigest()[:16]
    file = kept / f"speed-{how}.json"
    if not file.exists():
        texts = [text for rows in ablation.read_tables(Paths(root)).values() for text in rows["text"]]
        write_json(seconds_per_text(texts, folder, params.encoder), file)
    return float(read_json(file))


def evaluate_variant(variant: Variant, trials: Trials, params: Params) -> Effect:
    """What a variant earned by the thing that it lacks, or adds."""
    pairs = list(zip(trials.held, trials.of[EVERYTHING], trials.of[variant.name], strict=True))
    minutes = sum(full.seconds - other.seconds for _, full, other in pairs) / len(pairs) / 60
    kept = ["id", "label", *table.group_columns(trials.held[0])]
    answers = [rows[kept].assign(full=full.answers, other=other.answers) for rows, full, other in pairs]
    return ablation.measure_effect(variant, answers, minutes, params.evaluate, params.fairness.min_group_size)


def summary_line(trials: Trials, from_validation: bool, least: int) -> str:
    """The rows that were measured on, and what training with everything reached, in one sentence."""
    pairs = [(rows.assign(full=one.answers), one) for rows, one in zip(trials.held, trials.of[EVERYTHING], strict=True)]
    accuracy = sum(label_scores.accuracy(rows["label"], rows["full"]) for rows, _ in pairs) / len(pairs)
    f1 = sum(label_scores.macro_f1(rows["label"], rows["full"]) for rows, _ in pairs) / len(pairs)
    minutes = sum(one.seconds for _, one in pairs) / len(pairs) / 60
    rows, distinct = sum(map(len, trials.held)), len({one for part in trials.held for one in part["id"]})
    drawn = "the validation split, with other training seeds each time" if from_validation else "other gold rows a seed"
    return (
        f"{len(pairs)} seed(s), {rows} held-out answers on {distinct} distinct rows ({drawn}). With everything: "
        f"accuracy {accuracy:.3f}, macro-F1 {f1:.3f}, {minutes:.1f} minutes{gap_text(pairs, least)}."
    )


def gap_text(pairs: "list[tuple[pd.DataFrame, Trial]]", least: int) -> str:
    """The group gap of training with everything; empty where there is none."""
    import pandas as pd

    found = label_scores.accuracy_gap(pd.concat([rows for rows, _ in pairs]), "full", least)
    return "" if math.isnan(found) else f", group gap {100 * found:.1f} points"


def row_cells(one: Effect) -> list[str]:
    """The cells of one row of the table."""
    rate = "-" if math.isnan(one.per_minute) else f"{one.per_minute:+.2f}"
    interval = f"{one.low:+.1f} to {one.high:+.1f}"
    gap = "-" if math.isnan(one.gap_points) else f"{one.gap_points:+.1f}"
    numbers = [f"{one.points:+.1f}", interval, f"{one.macro_f1_points:+.1f}", gap, f"{one.minutes:+.1f}", rate]
    return [one.name, *numbers, one.verdict]


def table_rows(effects: list[Effect], failed: dict[str, str]) -> list[list[str]]:
    """All rows of the table: what earned most first, and what failed last."""
    ordered = sorted(effects, key=lambda one: -one.points)
    blank = [""] * (len(COLUMNS) - 2)
    return [*map(row_cells, ordered), *([name, *blank, "failed"] for name in failed)]


def failure_lines(failed: dict[str, str]) -> list[str]:
    """Why variants failed, one line each."""
    return [f"{name} failed: {why}" for name, why in failed.items()]


def print_table(summary: str, effects: list[Effect], failed: dict[str, str]) -> None:
    """Print the table; what did not pay is red."""
    drawn = Table(title="What each of these earned on held-out rows", title_justify="left", title_style="bold")
    for name in COLUMNS:
        drawn.add_column(name, justify="left" if name in ("having", "verdict") else "right")
    for row in table_rows(effects, failed):
        drawn.add_row(*map(escape, row), style={"did not pay": "red", "paid": "green"}.get(row[-1]))
    console = Console(highlight=False, soft_wrap=True)
    console.print(drawn)
    console.print(summary)
    for line in failure_lines(failed):
        console.print(f"[red]{escape(line)}[/red]")


def write_tables(summary: str, effects: list[Effect], failed: dict[str, str], paths: Paths) -> None:
    """Write ablation.csv (numbers) and ablation.md (as printed), and print their path."""
    import pandas as pd

    folder, rows = paths.scratch("ablate"), table_rows(effects, failed)
    numbers = [asdict(one) | {"points_per_minute": one.per_minute} for one in effects]
    numbers += [{"name": name, "verdict": "failed"} for name in failed]
    table.write_csv(pd.DataFrame(numbers).rename(columns={"name": "having"}).round(4), folder / "ablation.csv")
    lines = [COLUMNS, ["---"] * len(COLUMNS), *([cell.replace("|", "/") for cell in row] for row in rows)]
    text = f"# What each stage earned\n\n{summary}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
    text += "".join(f"\n{line}\n" for line in failure_lines(failed))
    write_atomically(folder / "ablation.md", lambda part: part.write_text(text, encoding="utf-8"))
    print(f"Table: {folder / 'ablation.md'} and ablation.csv")
