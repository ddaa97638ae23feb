"""Results of the cells, with mean and deviation over the seeds: tables, a picture, and rows of LOG.md."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.cells import Record
from benchmarks.log import add_row, commit
from benchmarks.project import BenchmarkPaths

HEADING = "## Label efficiency: `make bench`"
ABOUT = """
Whole test file, mean ± standard deviation over the seeds (sample deviation), all methods on the same labels, pool and
encoder. Seconds to train a model: as run, with the vectors of all raw texts in the store, and cold, as if none were
there (texts that the method looked up x seconds per text of this encoder on this data, measured once). Pretraining,
where there is any, is not counted: it serves every cell. Memory is the peak of all processes of a cell.

| date | commit | data, k | method | seeds | accuracy | macro-F1 | seconds | cold | memory | failed |
|---|---|---|---|---|---|---|---|---|---|---|
"""
NUMBERS = ("accuracy", "macro_f1", "seconds", "seconds_cold", "gib")


def aggregate(records: Iterable[Record]) -> list[dict[str, Any]]:
    """A row for each method and k: seeds, failures, mean and sample deviation of each number; nan with one seed."""
    groups: dict[tuple[str, int], list[Record]] = {}
    for record in records:
        groups.setdefault((record["method"], record["k"]), []).append(record)
    rows = []
    for (method, k), group in sorted(groups.items()):
        scored = [record for record in group if "error" not in record]
        errors = [record["error"] for record in group if "error" in record]
        row: dict[str, Any] = {"method": method, "k": k, "seeds": len(scored), "failed": len(errors)}
        row["error"] = errors[0] if errors else ""
        for name in NUMBERS:
            values = [record[name] for record in scored]
            row[name] = float(np.mean(values)) if values else float("nan")
            row[f"{name}_std"] = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
        rows.append(row)
    return rows


def mean_and_deviation(row: dict[str, Any], name: str) -> str:
    """Mean ± deviation, or only the mean of a single seed."""
    if not row["seeds"]:
        return "-"
    deviation = row[f"{name}_std"]
    return f"{row[name]:.3f}" + ("" if np.isnan(deviation) else f" ± {deviation:.3f}")


def append_log_row(dataset: str, row: dict[str, Any], paths: BenchmarkPaths) -> None:
    """Add an aggregate to the end of its table in LOG.md."""
    numbers = [f"{row['seconds']:.0f}", f"{row['seconds_cold']:.0f}", f"{row['gib']:.1f} GiB"]
    failed = f"{row['failed']}: {row['error']}".replace("|", "/") if row["failed"] else ""
    cells = [
        *(str(date.today()), commit(), f"{dataset}, {row['k']}", row["method"], str(row["seeds"])),
        *(mean_and_deviation(row, "accuracy"), mean_and_deviation(row, "macro_f1")),
        *(numbers if row["seeds"] else ["-"] * 3),
        failed,
    ]
    add_row(f"| {' | '.join(cells)} |", HEADING, ABOUT, paths.log)


def print_tables(dataset: str, rows: list[dict[str, Any]], console: Console) -> None:
    """Print accuracy, macro-F1, seconds and memory by method and k."""
    ks = sorted({row["k"] for row in rows})
    for title, text in (
        ("accuracy", lambda row: mean_and_deviation(row, "accuracy")),
        ("macro-F1", lambda row: mean_and_deviation(row, "macro_f1")),
        ("seconds to train, cold", lambda row: f"{row['seconds_cold']:.0f}" if row["seeds"] else "-"),
        ("peak memory, GiB", lambda row: f"{row['gib']:.1f}" if row["seeds"] else "-"),
    ):
        drawn = Table(title=f"{dataset}: {title}", title_justify="left", title_style="bold")
        drawn.add_column("method")
        for k in ks:
            drawn.add_column(f"k={k}", justify="right")
        for method in dict.fromkeys(row["method"] for row in rows):
            by_k = {row["k"]: row for row in rows if row["method"] == method}
            drawn.add_row(method, *(failure_text(by_k[k]) or text(by_k[k]) if k in by_k else "" for k in ks))
        console.print(drawn)


def failure_text(row: dict[str, Any]) -> str:
    """The text in place of a number where every seed failed; empty where one did not."""
    return "" if row["seeds"] else f"{row['failed']} failed"


def draw_picture(tables: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Draw for each data set accuracy by labels a class, with a band of one deviation, and by seconds to train."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(tables), 7), layout="constrained")
    panels = figure.subplots(2, len(tables), squeeze=False)
    methods = sorted({row["method"] for rows in tables.values() for row in rows})
    for column, (dataset, rows) in enumerate(tables.items()):
        above, below = panels[0][column], panels[1][column]
        for number, method in enumerate(methods):
            measured = [row for row in rows if row["method"] == method and row["seeds"]]
            if not measured:
                continue
            ks, accuracy, seconds = (
                np.array([row[name] for row in measured]) for name in ("k", "accuracy", "seconds_cold")
            )
            deviation = np.nan_to_num(np.array([row["accuracy_std"] for row in measured]))
            style: dict[str, Any] = {"color": f"C{number % 10}", "marker": "o", "markersize": 3, "label": method}
            above.plot(ks, accuracy, **style)
            above.fill_between(ks, accuracy - deviation, accuracy + deviation, color=style["color"], alpha=0.2)
            below.plot(seconds, accuracy, linestyle=":", **style)
        above.set(title=dataset, xlabel="labels a class", ylabel="test accuracy")
        above.set_xscale("log", base=2)
        ticks = sorted({row["k"] for row in rows})
        above.set_xticks(ticks, [str(k) for k in ticks])
        below.set(xlabel="seconds to train, vectors included", ylabel="test accuracy", xscale="log")
    handles = {
        label: line for panel in panels[0] for line, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", fontsize=8, ncols=len(tables))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png", dpi=120, metadata={"Software": None})
