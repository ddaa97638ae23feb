"""Looks at what a version's service kept of its traffic: reads it, and what its training left, and asks of both."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.core.printable import print_note
from pipeline.policies.monitoring.finding import TrafficLook
from pipeline.policies.monitoring.look import look_at
from pipeline.policies.monitoring.reference import TrainingReference
from pipeline.serving.keys import read_key_names
from pipeline.serving.traffic_files import ANSWERS, FEEDBACK
from pipeline.serving.traffic_reader import read_minutes, read_tables, to_traffic
from tasks.traffic_reference import MonitoredVersion, find_reference

if TYPE_CHECKING:
    import pyarrow as pa


def look_at_traffic(
    root: Path, params: Params, version: MonitoredVersion, now: datetime, hours: float | None = None
) -> TrafficLook:
    """The findings about a version's traffic of the last ``hours``, by default those of params.

    Of more than ``monitor.max_rows`` answers only floods are looked for in the older ones. Raises UserError if no
    traffic is kept.
    """
    import pyarrow.compute as pc

    monitor, folder = params.monitor, traffic_folder(root, params)
    now = now.astimezone(UTC)  # a night has its own time zone
    start = since = now - timedelta(hours=hours or monitor.hours)
    tables, damaged = read_tables(folder, ANSWERS, start, now, monitor.max_rows)
    names, minutes = key_names(root), None
    if sum(map(len, tables)) >= monitor.max_rows:  # older ones were left unread
        since = min(one["time"][0].as_py() for one in tables)
        of_ids, damaged = read_minutes(folder, version.digest, start, now)
        minutes = {names.get(key, key): counts for key, counts in of_ids.items()}
    traffic = to_traffic([part for one in tables if len(part := one.filter(pc.equal(one["digest"], version.digest)))])
    traffic = replace(traffic, keys=np.array([names.get(key, key) for key in traffic.keys], object))
    labelled, damaged_feedback = read_tables(folder, FEEDBACK, since, now)
    corrections = [row for one in labelled for row in one.to_pylist()]
    given = {row["id"]: row["label"] for row in sorted(corrections, key=itemgetter("time"))}  # the last one counts
    note = "" if len(traffic) else absence_note(tables, params)
    nothing = TrainingReference(absence="no traffic to compare it with")
    reference = find_reference(root, params, version) if len(traffic) else nothing
    which, window = (version.number, version.digest), (since, now)
    damaged += damaged_feedback
    look = look_at(traffic, given, reference, monitor, params.drift, which, window, minutes, damaged)
    return replace(look, note=note)


def absence_note(tables: "list[pa.Table]", params: Params) -> str:
    """Why no answer of a version may be there, and which other versions ``tables`` have answers of."""
    seconds = params.monitor.keep.seconds_per_file
    note = f"Answers of the last {seconds:g} seconds may not be written yet (monitor.keep.seconds_per_file)."
    texts = Counter(number for one in tables for number in one["version"].to_pylist())
    names = {number: f"version {number}" if number else "a bundle that is no version" for number in texts}
    others = ", ".join(f"{names[number]} ({count})" for number, count in texts.most_common())
    return f"{note} Texts that others answered in this time: {others}." if others else note


def key_names(root: Path) -> dict[str, str]:
    """The names of keys by id, of revoked ones too; none where this user may not read the keys."""
    try:
        return read_key_names(root)
    except (OSError, UserError) as error:
        print_note(f"monitor: keys go by their ids: {error if isinstance(error, UserError) else type(error).__name__}")
        return {}


def traffic_folder(root: Path, params: Params) -> Path:
    """The folder of the numbers. Raises UserError if nothing is kept."""
    if params.monitor.path is None:
        raise UserError("monitor.path: expected a folder with what the service keeps, found null; set it")
    return root / params.monitor.path
