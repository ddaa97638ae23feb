"""Label efficiency: what each method makes of a few labels, on the same labels, pool and encoder.

    make bench ARGS="--datasets banking77 --k 1 8 --seeds 0 1 2 --methods probe gleaner gleaner:finetune.method=full"
    python -m benchmarks.label_efficiency --datasets banking77 --k 1 --seeds 0 --methods tfidf   # the same without make

Each cell (data set, k, seed, method) is a separate process; the seeds of a method run at once on the workers of a Ray
cluster where `compute.engine` of params.yaml is ray. A cell's record goes to results/<dataset>.jsonl as soon as it
has finished, so that a killed run resumes. A finished cell is skipped while its method's code and params are the same;
the record of a failed one holds the error, and the cell is tried again. The protocol is in tasks.py.
"""

import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import cells, project, tables, tasks
from benchmarks.cells import Cell, Method, SharedSetup
from benchmarks.cluster_cells import run_cells
from benchmarks.log import commit
from benchmarks.project import BenchmarkPaths
from benchmarks.tasks import FILES, Task
from pipeline.core.errors import UserError
from pipeline.core.params import Params, validate_params
from pipeline.core.stage import Paths, read_json, write_json
from pipeline.experiments.stage_runner import seconds_per_text
from pipeline.models import encoder as encoders

K = (1, 2, 4, 8, 16)
EXTRA_K = {"hatexplain": (32,)}  # its annotators disagree, so that even 16 labels a class are few
DEFAULT = ("tfidf", "probe", "self_training", "gleaner")
LISTS = ("--datasets", "--k", "--seeds", "--methods")
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    datasets: Annotated[list[str] | None, typer.Option(help="Default: all.")] = None,
    k: Annotated[
        list[int] | None, typer.Option(help="Labels a class. Default: 1 2 4 8 16; hatexplain 32, too.")
    ] = None,
    seeds: Annotated[list[int] | None, typer.Option(help="Default: 0 to 4.")] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(help="tfidf, probe, self_training, setfit, gleaner; changes follow a colon. Default: no setfit."),
    ] = None,
    keep_stale: Annotated[
        bool, typer.Option("--keep-stale", help="Skip finished cells of older code or params, too.")
    ] = False,
    report_only: Annotated[bool, typer.Option("--report-only", help="Run nothing: tables and picture alone.")] = False,
) -> None:
    """Run the missing cells of the selection, then print the tables and draw results/label_efficiency.png."""
    chosen = [cells.parse_method(name) for name in methods or DEFAULT]
    unknown = sorted(set(datasets or []) - set(FILES))
    if unknown:
        raise UserError(f"--datasets: expected {', '.join(FILES)}, found {', '.join(unknown)}")
    paths = BenchmarkPaths()
    for name in [] if report_only else datasets or FILES:
        task = tasks.load_task(name)
        run_task(task, k or (*K, *EXTRA_K.get(name, ())), seeds or range(5), chosen, paths, keep_stale)
    print_report(datasets or list(FILES), paths)


def run_task(
    task: Task,
    ks: list[int] | tuple[int, ...],
    seeds: list[int] | range,
    methods: list[Method],
    paths: BenchmarkPaths,
    stale: bool,
) -> None:
    """Run every missing cell of one data set, and add a row to LOG.md for each method and k with new ones."""
    shared = prepare(task, paths)
    for method in methods:
        cells.params_for(method, shared)  # raises at once, not after the cells before it
    path = paths.results / f"{task.name}.jsonl"
    for k in ks:
        for method in methods:
            known = cells.read_results(path)
            all_cells = [Cell(k, seed, method) for seed in seeds]
            missing = [cell for cell in all_cells if not cells.is_finished(known.get(cell.key), method, shared, stale)]
            for record in run_cells(missing, shared, paths):
                cells.store_record(record, path)
                print_record(task.name, record)
            if missing:
                records = [cells.read_results(path)[method.name, k, seed] for seed in seeds]
                tables.append_log_row(task.name, tables.aggregate(records)[0], paths)


def prepare(task: Task, paths: BenchmarkPaths) -> SharedSetup:
    """The params, encoder and vectors that all cells of a data set share; missing vectors are computed here."""
    from pipeline.models.embeddings import embed

    content = project.cell_params(task, paths.params)
    params: Params = validate_params(content)
    done = project.pretrain_once(task, content, paths)
    folder = project.encoder_folder(params, done)
    texts = [text for text in [*task.train.texts, *task.pool, *task.test.texts] if text]
    speed = measure_speed(task, texts, folder, params, paths, done[1] if done else None)
    root = paths.scratch / "store"
    project.share_embeddings(root, paths.store)
    embed(texts, folder, params.encoder, Paths(root))
    digest = cells.short_digest(repr((task.train, task.pool, task.test, encoders.weights_digest(folder))))
    return SharedSetup(task, content, folder, speed, digest)


def measure_speed(
    task: Task, texts: list[str], folder: Path, params: Params, paths: BenchmarkPaths, pretrain: float | None
) -> float:
    """Seconds for the vector of one text, measured once for each encoder and data set and stored with the results."""
    path = paths.results / "embedding.json"
    known = read_json(path) if path.exists() else {}
    digest = encoders.weights_digest(folder)[:16]
    if known.get(task.name, {}).get("encoder") != digest:
        speed = seconds_per_text(texts, folder, params.encoder)
        known[task.name] = {"encoder": digest, "seconds_per_text": round(speed, 6), "texts": len(set(texts))}
        known[task.name] |= {"pretrain_seconds": pretrain, "date": str(date.today()), "commit": commit()}
        write_json(dict(sorted(known.items())), path)
    return float(known[task.name]["seconds_per_text"])


def print_record(dataset: str, record: cells.Record) -> None:
    """Print one line on a cell that has ended."""
    cell = f"{dataset} k={record['k']} seed={record['seed']} {record['method']}"
    if "error" in record:
        print(f"{cell}: failed: {record['error']}", flush=True)
        return
    numbers = f"accuracy {record['accuracy']:.4f}, macro-F1 {record['macro_f1']:.4f}"
    print(f"{cell}: {numbers}, {record['seconds']:.0f} s ({record['seconds_cold']:.0f} s cold)", flush=True)


def print_report(datasets: list[str], paths: BenchmarkPaths) -> None:
    """Print the tables of these data sets, and draw the results of all."""
    console = Console(highlight=False, soft_wrap=True)
    results = {name: cells.read_results(paths.results / f"{name}.jsonl") for name in FILES}
    rows = {name: tables.aggregate(records.values()) for name, records in results.items() if records}
    for name in datasets:
        if name in rows:
            tables.print_tables(name, rows[name], console)
    if rows:
        tables.draw_picture(rows, paths.results / "label_efficiency.png")


def repeat_options(words: list[str]) -> list[str]:
    """The words of a command line with ``--k 1 8`` as ``--k 1 --k 8``, the form that typer parses."""
    option, result = "", []
    for word in words:
        if word.startswith("--"):
            option = word.split("=")[0] if word.split("=")[0] in LISTS else ""
            result += [] if word in LISTS else [word]
        else:
            result += [option, word] if option else [word]
    return result


if __name__ == "__main__":
    try:
        app(repeat_options(sys.argv[1:]))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
