"""What `gleaner ablate` does: rerun training without one thing at a time, and tell what each of them earned.

Everything is kept in data/scratch/ablate/: a killed run goes on where it stopped.
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
from pipeline.core.params import Params, load, read_yaml, validate
from pipeline.core.stage import Paths, read_json, replace, write_json
from pipeline.experiments import ablation, stage_cache
from pipeline.experiments.ablation import FULL, Earned, Variant
from pipeline.experiments.stage_runner import StageCost, StageFailed, seconds_per_text, stages
from pipeline.mitigation import offset_selection

if TYPE_CHECKING:
    import pandas as pd

FIRST, LAST = "pretrain", "finetune"  # no model is exported: the network itself answers
COLUMNS = (
    *("having", "accuracy points", "interval", "macro-F1 points", "group gap points", "extra minutes"),
    *("points a minute", "verdict"),
)


@dataclass(frozen=True)
class Trial:
    """The answers of one variant to the held-out rows of one seed, and what its stages took with no vectors known."""

    answers: list[str]
    seconds: float


@dataclass(frozen=True)
class Trials:
    """All answers: the held-out rows of each seed, each variant's trials in the order of the seeds, and what failed."""

    held: list["pd.DataFrame"]
    of: dict[str, list[Trial]]
    failed: dict[str, str]


def main(root: Path, seeds: int, share: float, with_: Sequence[str], only: Sequence[str]) -> int:
    """Run what is missing, print the table, write it; 1 when a variant failed."""
    params = load(root / "params.yaml")
    paths = Paths(root)
    tables = ablation.read(paths)
    variants = ablation.variants(read_yaml(root / "params.yaml"), with_, only)
    trials = run(variants, tables, range(seeds), share, paths)
    judged = [
        judge(variant, trials, params)
        for variant in variants
        if variant.name != FULL and variant.name not in trials.failed
    ]
    from_validation = not tables["validation"].empty
    summary = about(trials, from_validation, params.fairness.min_group_size)
    show(summary, judged, trials.failed)
    write(summary, judged, trials.failed, paths)
    return 1 if trials.failed else 0


def run(
    variants: list[Variant], tables: dict[str, "pd.DataFrame"], seeds: Iterable[int], share: float, paths: Paths
) -> Trials:
    """Every variant with every seed; one that fails is not tried again, and everything itself must not fail."""
    trials = Trials([], {variant.name: [] for variant in variants}, {})
    for seed in seeds:
        rest, rows = ablation.hold_out(tables, share, seed)
        place = paths.scratch("ablate") / f"seed-{seed}"
        ablation.write(rest, paths.data("ingest") / "labels.json", place / "ingest")
        trials.held.append(rows)
        for variant in (one for one in variants if one.name not in trials.failed):
            content = variant.content if tables["validation"].empty else ablation.reseeded(variant.content, seed)
            try:
                trials.of[variant.name].append(attempt(variant.name, content, place, rows, paths))
            except (UserError, StageFailed) as error:
                if variant.name == FULL:
                    raise UserError(f"ablate: expected params.yaml to train, found: {error}") from None
                trials.failed[variant.name] = str(error)
    return trials


def attempt(name: str, content: dict[str, Any], place: Path, held: "pd.DataFrame", paths: Paths) -> Trial:
    """Train by these params on everything but the held-out rows, and let the network answer them."""
    params = validate(content)
    kept = paths.scratch("ablate") / "stages"
    slug = hashlib.sha256(name.encode()).hexdigest()[:8]
    root = stage_cache.root_for(place / slug, place / "ingest", content, paths.scratch("embeddings"))
    moving = repr((params.mitigation, params.fairness)) if params.mitigation.offsets.budget is not None else ""
    asked = hashlib.sha256("".join([moving, *held["id"], *held["text"]]).encode()).hexdigest()[:16]
    ran: list[StageCost] = []
    for stage in stages(LAST, FIRST):
        print(f"{place.name}, {'with everything' if name == FULL else name}: {stage}", flush=True)
        folder, one = stage_cache.bring(stage, root, kept)
        ran.append(one)
    file = folder / f"answers-{asked}.json"
    if not file.exists():
        if not (folder / "model").exists():  # it answered other rows before, and was not kept
            stage_cache.clear(folder)
            folder, ran[-1] = stage_cache.bring(LAST, root, kept)
        moved = offset_selection.look(
            folder / "model", ablation.read(Paths(root)), params.fairness, params.mitigation, Paths(root)
        )
        found = stage_cache.answers(folder / "model", held["text"].tolist(), params.encoder.batch_size, moved)
        write_json(found, file)
        shutil.rmtree(folder / "model")  # as large as the encoder, once for each variant and seed
    speed = embedding_speed(root, params, kept)
    return Trial(read_json(file), sum(one.cold(speed) for one in ran))


def embedding_speed(root: Path, params: Params, kept: Path) -> float:
    """Seconds that the vector of one text takes, measured once: vectors that are known are not free, only paid for."""
    from pipeline.models import encoder as encoders

    folder = Paths(root).data("pretrain") / "encoder"
    how = hashlib.sha256(f"{encoders.digest(folder)} {params.encoder}".encode()).hexdigest()[:16]
    file = kept / f"speed-{how}.json"
    if not file.exists():
        texts = [text for rows in ablation.read(Paths(root)).values() for text in rows["text"]]
        write_json(seconds_per_text(texts, folder, params.encoder), file)
    return float(read_json(file))


def judge(variant: Variant, trials: Trials, params: Params) -> Earned:
    """What the thing that a variant lacks, or adds, earned."""
    pairs = list(zip(trials.held, trials.of[FULL], trials.of[variant.name], strict=True))
    minutes = sum(full.seconds - other.seconds for _, full, other in pairs) / len(pairs) / 60
    kept = ["id", "label", *table.group_columns(trials.held[0])]
    answers = [rows[kept].assign(full=full.answers, other=other.answers) for rows, full, other in pairs]
    return ablation.earned(variant, answers, minutes, params.evaluate, params.fairness.min_group_size)


def about(trials: Trials, from_validation: bool, least: int) -> str:
    """What was measured on, and what everything together reached."""
    pairs = [(rows.assign(full=one.answers), one) for rows, one in zip(trials.held, trials.of[FULL], strict=True)]
    accuracy = sum(ablation.accuracy(rows["label"], rows["full"]) for rows, _ in pairs) / len(pairs)
    f1 = sum(ablation.macro_f1(rows["label"], rows["full"]) for rows, _ in pairs) / len(pairs)
    minutes = sum(one.seconds for _, one in pairs) / len(pairs) / 60
    rows, distinct = sum(map(len, trials.held)), len({one for part in trials.held for one in part["id"]})
    drawn = "the validation split, with other training seeds each time" if from_validation else "other gold rows a seed"
    return (
        f"{len(pairs)} seed(s), {rows} held-out answers on {distinct} distinct rows ({drawn}). With everything: "
        f"accuracy {accuracy:.3f}, macro-F1 {f1:.3f}, {minutes:.1f} minutes{widest(pairs, least)}."
    )


def widest(pairs: "list[tuple[pd.DataFrame, Trial]]", least: int) -> str:
    """The group gap with everything, where there is one."""
    import pandas as pd

    found = ablation.gap(pd.concat([rows for rows, _ in pairs]), "full", least)
    return "" if math.isnan(found) else f", group gap {100 * found:.1f} points"


def cells(one: Earned) -> list[str]:
    """A row of the table."""
    rate = "-" if math.isnan(one.per_minute) else f"{one.per_minute:+.2f}"
    interval = f"{one.low:+.1f} to {one.high:+.1f}"
    gap = "-" if math.isnan(one.gap_points) else f"{one.gap_points:+.1f}"
    numbers = [f"{one.points:+.1f}", interval, f"{one.macro_f1_points:+.1f}", gap, f"{one.minutes:+.1f}", rate]
    return [one.name, *numbers, one.verdict]


def table_rows(judged: list[Earned], failed: dict[str, str]) -> list[list[str]]:
    """All rows: what was judged, what earned most first, then what could not be run."""
    ordered = sorted(judged, key=lambda one: -one.points)
    blank = [""] * (len(COLUMNS) - 2)
    return [*map(cells, ordered), *([name, *blank, "failed"] for name in failed)]


def reasons(failed: dict[str, str]) -> list[str]:
    """Why variants could not be judged, a line each."""
    return [f"{name} failed: {why}" for name, why in failed.items()]


def show(summary: str, judged: list[Earned], failed: dict[str, str]) -> None:
    """The table in the terminal; what did not pay is marked."""
    drawn = Table(title="What each of these earned on held-out rows", title_justify="left", title_style="bold")
    for name in COLUMNS:
        drawn.add_column(name, justify="left" if name in ("having", "verdict") else "right")
    for row in table_rows(judged, failed):
        drawn.add_row(*map(escape, row), style={"did not pay": "red", "paid": "green"}.get(row[-1]))
    console = Console(highlight=False, soft_wrap=True)
    console.print(drawn)
    console.print(summary)
    for line in reasons(failed):
        console.print(f"[red]{escape(line)}[/red]")


def write(summary: str, judged: list[Earned], failed: dict[str, str], paths: Paths) -> None:
    """ablation.csv, in numbers, and ablation.md, as it was printed; and say where they are."""
    import pandas as pd

    folder, rows = paths.scratch("ablate"), table_rows(judged, failed)
    numbers = [asdict(one) | {"points_per_minute": one.per_minute} for one in judged]
    numbers += [{"name": name, "verdict": "failed"} for name in failed]
    table.write_csv(pd.DataFrame(numbers).rename(columns={"name": "having"}).round(4), folder / "ablation.csv")
    lines = [COLUMNS, ["---"] * len(COLUMNS), *([cell.replace("|", "/") for cell in row] for row in rows)]
    text = f"# What each stage earned\n\n{summary}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
    text += "".join(f"\n{line}\n" for line in reasons(failed))
    replace(folder / "ablation.md", lambda part: part.write_text(text, encoding="utf-8"))
    print(f"Table: {folder / 'ablation.md'} and ablation.csv")
