"""The command `gleaner ablate`: train without one thing at a time, and print the effect of each.

Everything is kept in data/scratch/ablate/: a killed run resumes where it stopped.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from flows.outcomes.terminal import escape, table_column
from pipeline.core import table
from pipeline.core.params import Params, load_params, read_yaml
from pipeline.core.stage import Paths, write_atomically
from pipeline.experiments import ablation, telling_rows
from pipeline.experiments.ablation import EVERYTHING, Effect, Variant
from pipeline.experiments.ablation_trials import Trials, run_variants
from pipeline.metrics import label_scores

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("having", "accuracy points", "interval", "macro-F1 points", "group gap points", "extra minutes"),
    *("points a minute", "verdict"),
)


def main(root: Path, seeds: int, share: float, with_: Sequence[str], only: Sequence[str], anyway: bool = False) -> int:
    """Run what is missing, print the table and write it; exit code 0, or 1 when a variant failed.

    Raises UserError before anything is trained where too few rows can be held out, unless ``anyway`` is given.
    """
    params = load_params(root / "params.yaml")
    paths = Paths(root)
    tables = ablation.read_tables(paths)
    variants = ablation.list_variants(read_yaml(root / "params.yaml"), with_, only)
    if not anyway:
        held_out = [ablation.hold_out(tables, share, seed)[1] for seed in range(seeds)]
        telling_rows.require_telling_rows(held_out, params.evaluate.interval)
    trials = run_variants(variants, tables, range(seeds), share, paths, params.compute)
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


def evaluate_variant(variant: Variant, trials: Trials, params: Params) -> Effect:
    """Measure the effect of the thing that a variant leaves out or adds."""
    pairs = list(zip(trials.held_out, trials.by_variant[EVERYTHING], trials.by_variant[variant.name], strict=True))
    minutes = sum(full.seconds - other.seconds for _, full, other in pairs) / len(pairs) / 60
    columns = ["id", "label", *table.group_columns(trials.held_out[0])]
    answers = [rows[columns].assign(full=full.answers, other=other.answers) for rows, full, other in pairs]
    return ablation.measure_effect(variant, answers, minutes, params.evaluate, params.fairness.min_group_size)


def summary_line(trials: Trials, from_validation: bool, min_group_size: int) -> str:
    """How many rows were measured on, and the scores of training with everything, in two sentences."""
    full_trials = trials.by_variant[EVERYTHING]
    answered = [rows.assign(full=trial.answers) for rows, trial in zip(trials.held_out, full_trials, strict=True)]
    accuracy = sum(label_scores.accuracy(rows["label"], rows["full"]) for rows in answered) / len(answered)
    f1 = sum(label_scores.macro_f1(rows["label"], rows["full"]) for rows in answered) / len(answered)
    minutes = sum(trial.seconds for trial in full_trials) / len(full_trials) / 60
    ids = [row_id for rows in trials.held_out for row_id in rows["id"]]
    source = (
        "the validation split, with other training seeds each time" if from_validation else "other gold rows a seed"
    )
    return (
        f"{len(answered)} seed(s), {len(ids)} held-out answers on {len(set(ids))} distinct rows ({source}). "
        f"With everything: accuracy {accuracy:.3f}, macro-F1 {f1:.3f}, {minutes:.1f} minutes"
        f"{gap_text(answered, min_group_size)}."
    )


def gap_text(answered: "list[pd.DataFrame]", min_group_size: int) -> str:
    """The group gap of training with everything; empty where there is none."""
    import pandas as pd

    gap = label_scores.accuracy_gap(pd.concat(answered), "full", min_group_size)
    return "" if math.isnan(gap) else f", group gap {100 * gap:.1f} points"


def row_cells(effect: Effect) -> list[str]:
    """The cells of one row of the table."""
    rate = "-" if math.isnan(effect.per_minute) else f"{effect.per_minute:+.2f}"
    interval = f"{effect.low:+.1f} to {effect.high:+.1f}"
    gap = "-" if math.isnan(effect.gap_points) else f"{effect.gap_points:+.1f}"
    macro_f1, minutes = f"{effect.macro_f1_points:+.1f}", f"{effect.minutes:+.1f}"
    return [effect.name, f"{effect.points:+.1f}", interval, macro_f1, gap, minutes, rate, effect.verdict]


def table_rows(effects: list[Effect], failed: dict[str, str]) -> list[list[str]]:
    """All rows of the table: the largest effect first, failed variants last."""
    ordered = sorted(effects, key=lambda effect: -effect.points)
    blank = [""] * (len(COLUMNS) - 2)
    return [*map(row_cells, ordered), *([name, *blank, "failed"] for name in failed)]


def failure_lines(failed: dict[str, str]) -> list[str]:
    """Why variants failed, one line each."""
    return [f"{name} failed: {why}" for name, why in failed.items()]


def print_table(summary: str, effects: list[Effect], failed: dict[str, str]) -> None:
    """Print the table, with variants that did not pay in red."""
    rows = table_rows(effects, failed)
    title = "What each of these earned on held-out rows"
    columns = [
        table_column(name, [row[number] for row in rows], right=name not in ("having", "verdict"))
        for number, name in enumerate(COLUMNS)
    ]
    printed = Table(*columns, title=title, title_justify="left", title_style="bold", box=SIMPLE, padding=0)
    for row in rows:
        printed.add_row(*map(escape, row), style={"did not pay": "red", "paid": "green"}.get(row[-1]))
    console = Console(highlight=False, soft_wrap=True)
    console.print(printed)
    console.print(escape(summary))
    for line in failure_lines(failed):
        console.print(f"[red]{escape(line)}[/red]")


def write_tables(summary: str, effects: list[Effect], failed: dict[str, str], paths: Paths) -> None:
    """Write ablation.csv (numbers) and ablation.md (as printed), and print their path."""
    import pandas as pd

    folder, rows = paths.scratch("ablate"), table_rows(effects, failed)
    numbers = [asdict(effect) | {"points_per_minute": effect.per_minute} for effect in effects]
    numbers += [{"name": name, "verdict": "failed"} for name in failed]
    table.write_csv(pd.DataFrame(numbers).rename(columns={"name": "having"}).round(4), folder / "ablation.csv")
    lines = [COLUMNS, ["---"] * len(COLUMNS), *([cell.replace("|", "/") for cell in row] for row in rows)]
    text = f"# What each stage earned\n\n{summary}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
    text += "".join(f"\n{line}\n" for line in failure_lines(failed))
    write_atomically(folder / "ablation.md", lambda part: part.write_text(text, encoding="utf-8"))
    print(f"Table: {folder / 'ablation.md'} and ablation.csv")
