"""Trains a classifier from Python: a project of its own, whose stages run through DVC as those of any other."""

import os
import re
import shutil
import sys
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from flows.prefect_server import quiet_libraries
from gleaner.inputs import string_list
from gleaner.loading import load_bundle
from gleaner.model import Model
from pipeline.core.errors import UserError
from pipeline.core.file_permissions import restrict_new_files
from pipeline.core.stage import Paths, read_json
from pipeline.core.yaml_file import read_yaml
from pipeline.experiments.stage_runner import StageFailed
from tasks.dvc.repro_output import DVC_HINTS, describe_failure
from tasks.processes.process import Processes
from tasks.project.create import commit_project, create_project, own_data_overlay

Texts = Iterable[str]
Rows = dict[str, list[str]]  # column: values
STAGE_BEGINS = re.compile(r"Running stage '(\w+)'")
LAST_LINES = 200  # of the output, which explain a failure


def fit(
    texts: Texts,
    labels: Iterable[str],
    unlabelled: Texts = (),
    *,
    test: float | tuple[Texts, Iterable[str]] = 0.2,
    params: Mapping[str, Any] | None = None,
    folder: str | Path | None = None,
) -> Model:
    """Train a classifier on ``texts`` with ``labels``, and on texts without; a line on stderr names each stage.

    ``test`` is a pair of texts and labels, or the share of the labelled rows that is held out. ``params`` are values
    over those of params.yaml, by section. The project is made in ``folder``, which has to be new or empty; without one,
    it is temporary and goes with the model. Raises UserError with the line of whatever the caller can mend, and
    StageFailed if a stage crashes; the temporary project then stays.
    """
    tables = {"train": labelled_rows(texts, labels, "texts", "labels")}
    tables["unlabelled"] = {"text": string_list(unlabelled, "unlabelled")}
    if isinstance(test, tuple):
        tables["test"] = labelled_rows(*test, "test[0]", "test[1]")
    root = Path(mkdtemp(prefix="gleaner-") if folder is None else folder).absolute()
    quiet_libraries()
    try:
        with owner_only():
            make_project(root, tables, test, params or {})
            run_stages(root)
    except BaseException as error:
        if folder is None and not isinstance(error, StageFailed):
            shutil.rmtree(root, ignore_errors=True)
        raise
    model = trained_model(root)
    print("\n".join(result_lines(model.metrics)), file=sys.stderr, flush=True)
    if folder is None:
        weakref.finalize(model, shutil.rmtree, root, ignore_errors=True)
    return model


def labelled_rows(texts: Texts, labels: Iterable[str], text_name: str, label_name: str) -> Rows:
    """Texts with their labels. Raises UserError if these are no strings, or not as many."""
    rows = {"text": string_list(texts, text_name), "label": string_list(labels, label_name)}
    if len(rows["text"]) != len(rows["label"]):
        raise UserError(
            f"{label_name}: expected a label for each of the {len(rows['text'])} texts, found {len(rows['label'])}"
        )
    return rows


@contextmanager
def owner_only() -> Iterator[None]:
    """Let only the owner read what the block writes, or whom GLEANER_UMASK admits."""
    before = os.umask(0o077)
    try:
        restrict_new_files()
        yield
    finally:
        os.umask(before)


def make_project(root: Path, tables: dict[str, Rows], test: Any, params: Mapping[str, Any]) -> None:
    """Make the project with the rows in data/raw, each table in a Parquet file of its name.

    Raises UserError if the folder is not empty, or if a value of ``params`` is not possible.
    """
    import pandas as pd

    given = {name for name, rows in tables.items() if rows["text"]}
    files: dict[str, Any] = {
        name: [f"{name}.parquet"] if name in given else [] for name in ("train", "validation", "test", "unlabelled")
    }
    share = 0.0 if "test" in tables else test
    ingest = files | {"format": "parquet", "split": {"validation": 0.0, "test": share, "stratify": True}}
    overlay = merged(merged(own_data_overlay(root.name), {"ingest": ingest}), params)
    create_project(root, overlay)
    commit_project(root)
    for name in given:
        pd.DataFrame(tables[name]).to_parquet(root / "data" / "raw" / f"{name}.parquet", index=False)


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of ``base`` with ``changes`` over it, section by section."""
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def run_stages(root: Path) -> None:
    """Run all stages of the project through DVC. Raises UserError or StageFailed with the line of a failed stage."""
    names = list(read_yaml(root / "dvc.yaml")["stages"])
    stage, begun, lines = "dvc", 0, deque[str](maxlen=LAST_LINES)
    with Processes() as processes:
        process = processes.start([sys.executable, "-m", "dvc", "repro"], root)
        for line in map(str.rstrip, process.stdout or ()):
            if begins := STAGE_BEGINS.match(line):
                stage, begun = begins[1], begun + 1
                lines.clear()
                print(f"{stage} ({begun} of {len(names)})", file=sys.stderr, flush=True)
            elif line and not DVC_HINTS.match(line):
                lines.append(line)
        code = processes.wait(process)
    if code:
        message, is_user_error = describe_failure(stage, list(lines))
        if is_user_error:
            line = message.removeprefix("error: ")
            hint = (
                "; of `fit`, the argument test: give a pair of texts and labels"
                if line.startswith("ingest.test")
                else ""
            )
            raise UserError(line + hint)
        raise StageFailed(f"{stage}, in {root}: {message}")


def trained_model(root: Path) -> Model:
    """The classifier that the stages left in the project, with its report and its metrics."""
    model = load_bundle(Paths(root).data("export") / "bundle", root / "params.yaml")
    measured = {path.parent.name: read_json(path) for path in sorted((root / "data").glob("*/metrics.json"))}
    report = Paths(root).data("report") / "report.html"
    return replace(model, report=report, metrics=measured)


def result_lines(metrics: Mapping[str, Any]) -> list[str]:
    """How good the model is beside its baselines, and what to try next where that is weak."""
    measured = metrics["evaluate"]
    baselines = ", ".join(f"{name} {values['accuracy']:.3f}" for name, values in measured["baseline"].items() if values)
    interval = f"{measured['accuracy_low']:.3f} to {measured['accuracy_high']:.3f}"
    lines = [
        f"accuracy {measured['accuracy']:.3f} ({interval}) on {measured['test_rows']} test rows; baselines: {baselines}"
    ]
    return lines + [f"to try next: {step}" for step in metrics["report"]["next_steps"]]
