"""What trainings have read, as the next night finds it: recorded file by file, and only of those that are complete."""

import json
from collections.abc import Mapping
from pathlib import Path

from pipeline.core.params import Params
from pipeline.labelling.arrivals import ReadArrivals
from tasks import registry
from tasks.operations_log import append_entry
from tasks.registry import trainings
from tasks.registry.runs import MAX_TAG_LENGTH

FILES = {"2026-11-24T02-00-00.parquet": "0123456789ab", "2027-11-24T02-00-00.parquet": "ba9876543210"}


def train(root: Path, params: Params, files: Mapping[str, str], finish: bool = True) -> None:
    """Record a training that read these files; MLflow's status is FINISHED in any case."""
    with registry.open_run(root, params, "train", "flow") as opened:
        trainings.begin_training(opened, files)
        if finish:
            trainings.finish_training(opened)


def train_as_before(root: Path, params: Params, newest: str) -> None:
    """Record a training as it was done before files were recorded."""
    with registry.open_run(root, params, "train", "flow") as opened:
        opened.set_tags({"gleaner.arrivals": newest})


def test_a_training_that_is_not_complete_has_read_nothing(root: Path, local: Params) -> None:
    train(root, local, FILES, finish=False)
    assert trainings.find_read_arrivals(root, local) == ReadArrivals()
    train(root, local, FILES)
    assert trainings.find_read_arrivals(root, local) == ReadArrivals(frozenset(FILES.items()))


def test_the_files_of_all_complete_trainings_count(root: Path, local: Params) -> None:
    for file in FILES.items():
        train(root, local, dict([file]))
    assert trainings.find_read_arrivals(root, local) == ReadArrivals(frozenset(FILES.items()))


def test_a_thousand_files_fit_into_tags_that_any_server_takes(root: Path, local: Params) -> None:
    files = {f"2026-11-24T02-00-00-{number}-é.parquet": "0123456789ab" for number in range(1000)}
    tags = trainings.arrivals_to_tags(files)
    assert max(map(len, tags.values())) <= MAX_TAG_LENGTH and len(tags) < 30
    assert all(json.loads(content) for content in tags.values())
    train(root, local, files)
    assert trainings.find_read_arrivals(root, local).files == frozenset(files.items())


def test_the_newest_name_of_older_trainings_counts_until_one_records_its_files(root: Path, local: Params) -> None:
    old, ahead = FILES
    train_as_before(root, local, old)
    train_as_before(root, local, ahead)
    with registry.open_run(root, local, "train", "flow") as opened:
        opened.set_tags({"gleaner.arrivals": "2028"})
        opened.failed = True
    assert trainings.find_read_arrivals(root, local) == ReadArrivals(up_to=ahead)
    train(root, local, {old: FILES[old]})
    read = trainings.find_read_arrivals(root, local)
    assert read == ReadArrivals(frozenset({(old, FILES[old])})) and not read.includes("2026-12-01.parquet", "0")


def test_a_training_without_arrivals_is_a_training(root: Path, local: Params) -> None:
    train_as_before(root, local, "2026-11-24T02-00-00.parquet")
    train(root, local, {})
    assert trainings.find_read_arrivals(root, local) == ReadArrivals()


def test_a_file_that_a_forget_rewrote_counts_as_read_if_it_was_read_before(root: Path, local: Params) -> None:
    read, unread = FILES
    train(root, local, {read: FILES[read]})
    for name, before, after in [(read, FILES[read], "b"), (unread, FILES[unread], "b"), (read, "b", "c")]:
        append_entry(root, "rewritten", {"file": name, "before": before, "after": after})
    found = trainings.find_read_arrivals(root, local)
    assert all(found.includes(read, digest) for digest in (FILES[read], "b", "c"))
    assert not found.includes(unread, "b") and not found.includes(read, "d")
