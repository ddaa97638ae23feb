"""How much each method makes of a few labels: peers side by side on the same labels, pool and encoder.

    make bench ARGS="--datasets banking77 --k 1 8 --seeds 0 1 2 --methods probe gleaner gleaner:finetune.method=head"
    python -m benchmarks.label_efficiency --datasets banking77 --k 1 --seeds 0 --methods tfidf   # the same without make

Each cell (data set, k, seed, method) is a process of its own, and is kept in results/<dataset>.jsonl as soon as it is
finished: a killed run goes on where it stopped. A finished cell is skipped while its method's code and params are the
same; a failed one is kept with its error and tried again. The protocol is in tasks.py.
"""

import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import cells, project, tables, tasks
from benchmarks.cells import Cell, Method, Prepared
from benchmarks.log import commit
from benchmarks.project import Places
from benchmarks.tasks import FILES, Task
from pipeline.core.errors import UserError
from pipeline.core.params import Params, validate
from pipeline.core.stage import Paths, read_json, write_json
from pipeline.experiments.stage_runner import seconds_per_text
from pipeline.models import encoder as encoders

K = (1, 2, 4, 8, 16)
EXTRA_K = {"hatexplain": (32,)}  # where annotators disagree, 16 labels a class are still next to nothing
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
    """Run what is missing of the selection, then print the tables and draw results/label_efficiency.png."""
    chosen = [cells.parse(name) for name in methods or DEFAULT]
    unknown = sorted(set(datasets or []) - set(FILES))
    if unknown:
        raise UserError(f"--datasets: expected {', '.join(FILES)}, found {', '.join(unknown)}")
    places = Places()
    for name in [] if report_only else datasets or FILES:
        task = tasks.load(name)
        run_task(task, k or (*K, *EXTRA_K.get(name, ())), seeds or range(5), chosen, places, keep_stale)
    report(datasets or list(FILES), places)


def run_task(
    task: Task,
    ks: list[int] | tuple[int, ...],
    seeds: list[int] | range,
    methods: list[Method],
    places: Places,
    stale: bool,
) -> None:
    """Every missing cell of one data set; a line of LOG.md for each method and k that has new ones."""
    shared = prepare(task, places)
    for method in methods:
        cells.params_of(method, shared)  # a mistake is told now, not after the cells before it
    path = places.results / f"{task.name}.jsonl"
    for k in ks:
        for method in methods:
            fresh = False
            for seed in seeds:
                cell = Cell(k, seed, method)
                if cells.finished(cells.read_results(path).get(cell.key), method, shared, stale):
                    continue
                record = cells.run(cell, shared, places)
                cells.keep(record, path)
                say(task.name, record)
                fresh = True
            if fresh:
                mine = [cells.read_results(path)[method.name, k, seed] for seed in seeds]
                tables.log_line(task.name, tables.aggregate(mine)[0], places)


def prepare(task: Task, places: Places) -> Prepared:
    """The params, encoder and vectors that all cells of a data set share; the vectors are computed here, if missing."""
    from pipeline.models.embeddings import embed

    content = project.content(task, places.params)
    params: Params = validate(content)
    done = project.pretrained(task, content, places)
    folder = project.encoder_folder(params, done)
    texts = [text for text in [*task.train.texts, *task.pool, *task.test.texts] if text]
    speed = measured_speed(task, texts, folder, params, places, done[1] if done else None)
    root = places.scratch / "store"
    project.share_embeddings(root, places.store)
    embed(texts, folder, params.encoder, Paths(root))
    digest = cells.sha(repr((task.train, task.pool, task.test, encoders.digest(folder))))
    return Prepared(task, content, folder, speed, digest)


def measured_speed(
    task: Task, texts: list[str], folder: Path, params: Params, places: Places, pretrain: float | None
) -> float:
    """Seconds for the vector of one text, measured once for each encoder and data set, and kept with the results."""
    path = places.results / "embedding.json"
    known = read_json(path) if path.exists() else {}
    digest = encoders.digest(folder)[:16]
    if known.get(task.name, {}).get("encoder") != digest:
        speed = seconds_per_text(texts, folder, params.encoder)
        known[task.name] = {"encoder": digest, "seconds_per_text": round(speed, 6), "texts": len(set(texts))}
        known[task.name] |= {"pretrain_seconds": pretrain, "date": str(date.today()), "commit": commit()}
        write_json(dict(sorted(known.items())), path)
    return float(known[task.name]["seconds_per_text"])


def say(dataset: str, record: cells.Record) -> None:
    """One line a cell, as it ends."""
    what = f"{dataset} k={record['k']} seed={record['seed']} {record['method']}"
    if "error" in record:
        print(f"{what}: failed: {record['error']}", flush=True)
        return
    numbers = f"accuracy {record['accuracy']:.4f}, macro-F1 {record['macro_f1']:.4f}"
    print(f"{what}: {numbers}, {record['seconds']:.0f} s ({record['seconds_cold']:.0f} s cold)", flush=True)


def report(datasets: list[str], places: Places) -> None:
    """Print the tables of these data sets; draw everything that there is."""
    console = Console(highlight=False, soft_wrap=True)
    found = {name: cells.read_results(places.results / f"{name}.jsonl") for name in FILES}
    rows = {name: tables.aggregate(records.values()) for name, records in found.items() if records}
    for name in datasets:
        if name in rows:
            tables.show(name, rows[name], console)
    if rows:
        tables.draw(rows, places.results / "label_efficiency.png")


def spread_out(words: list[str]) -> list[str]:
    """``--k 1 8`` as ``--k 1 --k 8``, which is what the command line's parser knows."""
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
        app(spread_out(sys.argv[1:]))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
