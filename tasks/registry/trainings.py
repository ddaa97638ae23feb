"""How far a training came, and which arrival files it read, as tags of its MLflow run.

A training is complete when all that follows from it is stored: the gate's verdict, and after a pass the version with
its aliases. The tag `COMPLETE` says so and is set last. MLflow's status is for people who read the list of runs: a
training that the gate refused is FAILED and complete. Runs from before this tag lack it, and their status counts.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun

from pipeline.core.params import Params
from pipeline.labelling.arrivals import ReadArrivals
from pipeline.labelling.operations_log import rewritten_digests
from tasks.registry.runs import GATE_TAG, MAX_TAG_LENGTH, Run, search_runs
from tasks.registry.store import connect
from tasks.registry.version_tags import COMPLETE, NO, YES

ARRIVALS = "gleaner.arrivals"  # tag of older trainings: the newest file; begins the names of the tags with all files


def begin_training(opened: Run, digests: Mapping[str, str]) -> None:
    """Mark a run as a training that is incomplete, and that reads these arrival files (digest by name)."""
    opened.set_tags({COMPLETE: NO} | arrivals_to_tags(digests))


def finish_training(opened: Run) -> None:
    """Mark a training as complete. Call it last: its version is registered, or the gate has refused it."""
    opened.set_tags({COMPLETE: YES})


def arrivals_to_tags(digests: Mapping[str, str]) -> dict[str, str]:
    """Tags that hold the names and digests of arrival files as JSON, each of at most `MAX_TAG_LENGTH` characters."""
    chunks: list[dict[str, str]] = [{}]
    length = 0
    for name, digest in sorted(digests.items()):
        added = len(json.dumps({name: digest}))
        if length + added > MAX_TAG_LENGTH:
            chunks.append({})
            length = 0
        chunks[-1][name] = digest
        length += added
    return {f"{ARRIVALS}.{number}": json.dumps(chunk) for number, chunk in enumerate(chunks)}


def arrivals_of_run(tags: Mapping[str, str]) -> ReadArrivals:
    """The arrival files that a training read, by the tags of its run; for an older run all up to the newest one."""
    chunks = [json.loads(content) for name, content in tags.items() if name.startswith(f"{ARRIVALS}.")]
    files = frozenset(file for chunk in chunks for file in chunk.items())
    return ReadArrivals(files, up_to="" if chunks else tags.get(ARRIVALS, ""))


def find_read_arrivals(root: Path, params: Params) -> ReadArrivals:
    """The arrival files that complete trainings have read, refused ones included, also where a forget rewrote them.

    The newest name of an older training counts only until a training has recorded its files. A training reads every
    file that is there, and the name may be of a night whose clock was ahead.
    """
    complete = [run.data.tags for run in all_trainings(connect(root), root, params) if is_complete(run)]
    read = [arrivals_of_run(tags) for tags in complete]
    files = frozenset(file for training in read for file in training.files)
    files = ReadArrivals(files).with_rewritten(rewritten_digests(root)).files
    if any(COMPLETE in tags for tags in complete):
        return ReadArrivals(files)
    return ReadArrivals(files, up_to=max((training.up_to for training in read), default=""))


def all_trainings(client: MlflowClient, root: Path, params: Params) -> Iterator[MlflowRun]:
    """The runs of all trainings, newest first."""
    runs = search_runs(client, root, params)
    return (run for run in runs if COMPLETE in run.data.tags or ARRIVALS in run.data.tags)


def is_complete(run: MlflowRun) -> bool:
    """Whether a training came to its end."""
    complete = run.data.tags.get(COMPLETE)
    return run.info.status == "FINISHED" if complete is None else complete == YES


def status_when_closed(run: MlflowRun) -> str:
    """MLflow's status for a training whose process was killed, and which is closed by another one."""
    if not is_complete(run):
        return "KILLED"
    return "FINISHED" if run.data.tags.get(GATE_TAG, "pass") == "pass" else "FAILED"
