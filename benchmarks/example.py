"""One whole `gleaner run` in a fresh clone, measured: accuracy, seconds by stage, peak memory; a line in LOG.md.

    python -m benchmarks.example demo
    GLEANER_DATA=../shared/data python -m benchmarks.example banking77 finetune.epochs=2

Arguments after the name of the example change params, so that a variant can be measured beside it.
"""

import json
import os
import subprocess
import sys
import threading
import time
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.log import ROOT, add_row, git
from benchmarks.processes import watch_memory

HEADING = "## Whole runs: `python -m benchmarks.example EXAMPLE [param=value ...]`"


def main(example: str, changes: list[str]) -> None:
    """Clone, configure, run and measure; print the row and add it to LOG.md."""
    with TemporaryDirectory() as folder:
        project = Path(folder) / "gleaner"
        subprocess.run(["git", "clone", "--quiet", ROOT, project], check=True)
        gleaner = [sys.executable, "-m", "cli"]
        if example != "demo":
            subprocess.run([*gleaner, "configure", f"examples/{example}.yaml"], cwd=project, check=True)
        set_params(project / "params.yaml", changes)
        started = time.monotonic()
        process = subprocess.Popen([*gleaner, "run"], cwd=project, stdout=subprocess.PIPE, text=True)
        peak: list[int] = [0]
        watcher = threading.Thread(target=watch_memory, args=(process.pid, peak), daemon=True)
        watcher.start()
        lines = [line for line in process.stdout or () if sys.stdout.write(line)]
        code = process.wait()
        row = log_row(project, example, changes, code, time.monotonic() - started, peak[0], stage_seconds(lines))
    print(row)
    add_row(row, HEADING)


def set_params(params: Path, changes: list[str]) -> None:
    """Set ``section.key=value`` in params.yaml. Raises SystemExit if there is no such key."""
    from ruamel.yaml import YAML

    yaml = YAML()
    content = yaml.load(params)
    for text in changes:
        path, value = text.split("=", 1)
        *sections, key = path.split(".")
        parent = content
        for section in sections:
            parent = parent[section]
        if key not in parent:
            raise SystemExit(f"{path}: expected a key of params.yaml, found none of that name")
        parent[key] = YAML(typ="safe").load(value)
    yaml.dump(content, params)


def stage_seconds(lines: list[str]) -> str:
    """``stage seconds`` of every stage that took a second or more, from the table that the run printed."""
    cells = [[cell.strip() for cell in line.strip("│\n ").split("│")] for line in lines if line.startswith("│")]
    stages = [cell for cell in cells if len(cell) == 3 and cell[1] in ("ran", "cached", "restored", "failed")]
    return ", ".join(f"{name} {seconds}" for name, _, seconds in stages if float(seconds) >= 1)


def log_row(project: Path, example: str, changes: list[str], code: int, seconds: float, peak: int, stages: str) -> str:
    """The row for LOG.md."""
    head = (
        f"| {date.today()} | {git(project, 'rev-parse', '--short', 'HEAD').strip()} | {' '.join([example, *changes])} |"
    )
    file = project / "data" / "evaluate" / "metrics.json"
    if not file.exists():
        return (
            f"{head} exit code {code}, nothing evaluated | | | | {seconds:.0f} s | {peak / 2**30:.1f} GiB | {stages} |"
        )
    metrics = json.loads(file.read_text())
    baselines = metrics["baseline"]
    return (
        f"{head} {metrics['accuracy']:.3f} ({metrics['accuracy_low']:.3f}-{metrics['accuracy_high']:.3f}) "
        f"| {metrics['macro_f1']:.3f} | {baselines['tfidf']['accuracy']:.3f} / {baselines['tfidf']['macro_f1']:.3f} "
        f"| {baselines['probe']['accuracy']:.3f} / {baselines['probe']['macro_f1']:.3f} "
        f"| {seconds:.0f} s, exit {code} | {peak / 2**30:.1f} GiB | {stages} |"
    )


if __name__ == "__main__":
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    main(sys.argv[1], sys.argv[2:])
