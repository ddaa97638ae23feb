"""Label Studio's JSON export to records: the label that most annotators chose for each task.

The export is a list of tasks, https://labelstud.io/guide/task_format: ``data`` holds what was shown to the annotators,
``annotations`` holds what they answered.
"""

import json
from collections import Counter
from typing import Any

from pipeline.core import annotation_fields
from pipeline.core.errors import UserError
from pipeline.core.params import Columns
from pipeline.sources.source import Record, columns_to_read

FIRST_TASKS = 100  # of a file, from which it is known as an export


def is_export(content: Any) -> bool:
    """Whether the content of a JSON file is a list of tasks."""
    return isinstance(content, list) and any(map(is_task, content[:FIRST_TASKS]))


def is_task(task: Any) -> bool:
    """Whether ``task`` is an object with ``data``, and with ``annotations`` or ``predictions``."""
    return (
        isinstance(task, dict) and isinstance(task.get("data"), dict) and bool({"annotations", "predictions"} & {*task})
    )


def read(content: Any, name: str, columns: Columns) -> tuple[list[str], list[Record]]:
    """The column names found, and one record a task, numbered from 1, with cells by the column names of params.

    ``content`` is that of the file. A task without annotations is an unlabelled row. A task has a fault if its
    annotators skipped it, chose several labels or reached no majority. Raises UserError if the file is no such export.
    """
    if not isinstance(content, list):
        raise UserError(
            f'{name}: expected Label Studio\'s export in the format "JSON", a list of tasks, found something else; '
            "export it anew, or correct ingest.format"
        )
    names: dict[str, None] = {}
    records = []
    for number, task in enumerate(content, start=1):
        if not (is_task(task) and isinstance(task.get("annotations") or [], list)):
            raw = json.dumps(task, ensure_ascii=False)
            records.append(Record(number, {}, "not a Label Studio task with data and annotations", raw))
            continue
        cells = task_cells(task["data"], columns)
        label, fault = majority_label(task.get("annotations") or [])
        if columns.label:
            cells[columns.label] = label
        names.update(dict.fromkeys(cells))
        if fault:
            records.append(Record(number, {}, fault, joined_text(cells, columns)))
        else:
            needed = {column: cells[column] for column in columns_to_read(columns) if column in cells}
            records.append(Record(number, needed))
    return list(names), records


def task_cells(data: dict[str, Any], columns: Columns) -> dict[str, Any]:
    """The ``data`` of a task by column name.

    A task that `gleaner suggest` wrote has one text, under its key ``text``: it fills the first text column of params.
    So does the text of a task that has no text column of params.
    """
    is_ours = annotation_fields.ID in data or not set(columns.text) & set(data)
    if annotation_fields.TEXT in data and is_ours:
        return data | dict.fromkeys(columns.text, "") | {columns.text[0]: data[annotation_fields.TEXT]}
    return dict(data)


def joined_text(cells: dict[str, Any], columns: Columns) -> str:
    """The text columns of a task, one a line: what is kept of a task with a fault."""
    return "\n".join(str(cells.get(name) or "") for name in columns.text).strip()


def majority_label(annotations: list[Any]) -> tuple[str, str | None]:
    """The label that more than half of the annotators chose, and None; or an empty label and the fault.

    An annotator who answered twice counts with the later answer; one who skipped the task does not count. Without
    annotations, the label is empty and there is no fault.
    """
    votes = [
        chosen_labels(annotation)
        for annotation in latest_annotations(annotations)
        if not annotation.get("was_cancelled")
    ]
    if not votes:
        return "", annotation_fields.SKIPPED if annotations else None
    if len(votes) == 1 and len(votes[0]) != 1:
        return "", annotation_fields.SEVERAL if votes[0] else annotation_fields.SKIPPED
    counts = Counter(vote[0] for vote in votes if len(vote) == 1)
    label, count = counts.most_common(1)[0] if counts else ("", 0)
    return (label, None) if 2 * count > len(votes) else ("", annotation_fields.DISAGREE)


def latest_annotations(annotations: list[Any]) -> list[dict[str, Any]]:
    """The last changed annotation of each annotator, and every annotation that names no annotator."""
    latest: dict[tuple[str, int], dict[str, Any]] = {}
    valid = [annotation for annotation in annotations if isinstance(annotation, dict)]
    by_time = sorted(valid, key=lambda annotation: str(annotation.get("updated_at") or ""))
    for number, annotation in enumerate(by_time):
        annotator = annotation.get("completed_by")
        key = ("", number) if annotator is None else (json.dumps(annotator, sort_keys=True), 0)
        latest[key] = annotation
    return list(latest.values())


def chosen_labels(annotation: dict[str, Any]) -> list[str]:
    """The choices of one annotation, each once.

    Of several controls in the labelling config, only the one that `gleaner suggest` writes counts, if it is there.
    """
    results = [
        result
        for result in as_list(annotation.get("result"))
        if isinstance(result, dict) and result.get("type") == "choices" and isinstance(result.get("value"), dict)
    ]
    ours = [result for result in results if result.get("from_name") == annotation_fields.CHOICES] or results
    labels = [str(choice) for result in ours for choice in as_list(result["value"].get("choices"))]
    return list(dict.fromkeys(labels))


def as_list(value: Any) -> list[Any]:
    """The value if it is a list; else an empty list."""
    return value if isinstance(value, list) else []
