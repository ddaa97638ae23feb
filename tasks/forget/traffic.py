"""Wanted texts in what the service kept of its traffic, and in what `gleaner monitor` kept of trainings: as vectors.

No text is kept there. A text's number, which needs the secret of the folder, tells its rows in traffic; nothing tells
them in a sample of a training, which therefore goes as a whole.
"""

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pipeline.core.params import Params
from pipeline.core.stage import Paths, is_running, write_atomically
from pipeline.labelling.forgetting import Wanted
from pipeline.serving.text_numbers import number_texts, read_secret
from pipeline.serving.traffic_files import ANSWERS, PART_AGE, day_folders, list_files
from pipeline.serving.traffic_reader import WITH_VECTORS
from tasks.forget.findings import Finding
from tasks.forget.versions import Learned
from tasks.registry import lookup
from tasks.registry.manifest import MANIFEST_DIGEST_TAG
from tasks.traffic_reference import DIGEST_DIGITS

NUMBER, VECTOR = WITH_VECTORS


def find_in_traffic(root: Path, params: Params, wanted: Wanted) -> Iterator[Finding]:
    """The files of answers that hold wanted texts, and those of which nobody can tell."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path in list_answers(root, params):
        name = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
        numbers = wanted_numbers(path.parents[1], wanted)
        if path.suffix == ".part":
            yield Finding("files", name, path, "untold")
            continue
        try:
            file = pq.ParquetFile(path)
            if VECTOR not in file.schema_arrow.names:  # its rows tell nothing of a text
                continue
            if numbers is None or NUMBER not in file.schema_arrow.names:
                yield Finding("files", name, path, "untold")
                continue
            found = file.read([NUMBER])[NUMBER].to_pylist()
        except FileNotFoundError:  # removed meanwhile, being too old
            continue
        except (OSError, pa.ArrowException):
            yield Finding("files", name, path, "untold")
            continue
        if rows := tuple(row for row, number in enumerate(found, start=1) if number in numbers):
            for number in numbers.keys() & set(found):
                wanted.seen |= wanted.ids_of(numbers[number]) & wanted.ids
            yield Finding("files", name, path, "numbers", rows)


def list_answers(root: Path, params: Params) -> list[Path]:
    """The files of answers that the service has finished, and parts of such files that have no writer any more."""
    if params.monitor.path is None:
        return []
    oldest = time.time() - PART_AGE
    return [
        path
        for _, day in day_folders(root / params.monitor.path)
        for path in sorted(list_files(day))
        if path.name.lstrip(".").startswith(f"{ANSWERS}-")
        if path.suffix == ".parquet" or (path.exists() and path.stat().st_mtime < oldest)
    ]


def wanted_numbers(folder: Path, wanted: Wanted) -> dict[int, str] | None:
    """The wanted texts by the numbers that a folder of traffic gives them; None if its secret is gone."""
    secret = read_secret(folder)
    if secret is None:
        return None
    texts = sorted(wanted.given | wanted.spellings | wanted.texts)
    return dict(zip(number_texts(texts, secret), texts, strict=True))


def delete_numbers(path: Path, wanted: Wanted) -> None:
    """Write a file of answers without the wanted texts, whole or not at all; a file of nothing else is removed.

    The service never writes such a file again, but may remove it at any time. Its age stays, by which it is removed.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        stat, content = path.stat(), pq.ParquetFile(path).read()
    except FileNotFoundError:
        return
    numbers = [*(wanted_numbers(path.parents[1], wanted) or ())]
    rest = content.filter(pc.invert(pc.is_in(content[NUMBER], pa.array(numbers, pa.int64()))))
    if not len(rest):
        path.unlink(missing_ok=True)
    elif len(rest) < len(content):
        write_atomically(path, lambda part: pq.write_table(rest, part, compression="zstd"))
        with suppress(FileNotFoundError):
            path.chmod(stat.st_mode)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def traffic_notes(root: Path, params: Params, wanted: Wanted) -> list[str]:
    """What people have to know of the traffic: what a service has not written yet, and rows of unknown texts."""
    if params.monitor.path is None or read_secret(root / params.monitor.path) is None:
        return []
    at_work = "a running `gleaner serve` has its last answers in memory and writes them later: restart it, then run"
    notes = [f"{params.monitor.path}: {at_work} the same command again"]
    texts = wanted.given if params.ingest.mask_pii else wanted.given | wanted.spellings
    if wanted.named - {row for text in texts for row in wanted.ids_of(text)}:
        notes.append(
            f"{params.monitor.path}: only the text as it was sent tells its rows, and some rows are named by an id "
            "alone: name them by their texts with --match, too"
        )
    return notes


def find_references(root: Path, params: Params, learned: list[Learned]) -> Iterator[Finding]:
    """The samples of trainings, as vectors, but for those of versions that are known not to have learned from the rows.

    One that a running `gleaner monitor` makes is left to it.
    """
    numbers = {one.version.number for one in learned}
    kept: set[str] = set()
    dropped: set[str] = set()
    for version in lookup.all_versions(root, params):
        digest = version.tags.get(MANIFEST_DIGEST_TAG, "")[:DIGEST_DIGITS]
        (dropped if version.number in numbers else kept).add(digest)
    folder = Paths(root).scratch("monitor")
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        writer = re.fullmatch(r"\..*\.(\d+)\.part", path.name)
        is_at_work = writer is not None and is_running(int(writer[1]))
        if path.is_dir() and not is_at_work and path.name.strip(".")[:DIGEST_DIGITS] not in kept - dropped:
            yield Finding("files", path.relative_to(root).as_posix(), path, "reference")
