"""Label Studio's JSON export to records: what annotators chose, where they agree.

The export is a list of tasks, https://labelstud.io/guide/task_format: ``data`` is what was shown, ``annotations`` what
people answered.
"""

import json
from collections import Counter
from typing import Any

from pipeline.core import annotation_fields
from pipeline.core.errors import UserError
from pipeline.core.params import Columns
from pipeline.sources.source import Record, wanted


def looks_like_it(text: str) -> bool:
    """Whether a file is a list of tasks; JSON Lines never starts with a list of objects."""
    content = parsed(text) if text.lstrip().startswith("[") else None
    return isinstance(content, list) and bool(content) and is_task(content[0])


def is_task(task: Any) -> bool:
    """An object with the data that was shown, and room for what was answered."""
    return (
        isinstance(task, dict) and isinstance(task.get("data"), dict) and bool({"annotations", "predictions"} & {*task})
    )


def parsed(text: str) -> Any:
    """The JSON value of a file; None where it holds none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def read(text: str, name: str, columns: Columns) -> tuple[list[str], list[Record]]:
    """The columns found, and one record a task, numbered from 1, with cells under the names that params give.

    A task that nobody has answered yet is an unlabelled row. One whose annotators skipped it, chose several labels or
    have no majority carries a fault. Raises UserError for a file that is no such export.
    """
    content = parsed(text)
    if not isinstance(content, list):
        raise UserError(
            f'{name}: expected Label Studio\'s export in the format "JSON", a list of tasks, found something else; '
            "export it anew, or correct ingest.format"
        )
    found: dict[str, None] = {}
    records = []
    for number, task in enumerate(content, start=1):
        if not is_task(task):
            raw = json.dumps(task, ensure_ascii=False)
            records.append(Record(number, {}, "not a Label Studio task with data and annotations", raw))
            continue
        cells = cells_of(task["data"], columns)
        label, fault = answer(task.get("annotations") or [])
        if columns.label:
            cells[columns.label] = label
        found.update(dict.fromkeys(cells))
        kept = {column: cells[column] for column in wanted(columns) if column in cells}
        records.append(Record(number, {}, fault, shown(cells, columns)) if fault else Record(number, kept))
    return list(found), records


def cells_of(data: dict[str, Any], columns: Columns) -> dict[str, Any]:
    """What was shown, by column; the text of a task of ours stands in the first of the text columns."""
    if annotation_fields.TEXT not in data or (annotation_fields.ID not in data and set(columns.text) & set(data)):
        return dict(data)
    return data | dict.fromkeys(columns.text, "") | {columns.text[0]: data[annotation_fields.TEXT]}


def shown(cells: dict[str, Any], columns: Columns) -> str:
    """The text of a task whose answer cannot be used, kept with the rejected rows."""
    return "\n".join(str(cells.get(name) or "") for name in columns.text).strip()


def answer(annotations: list[Any]) -> tuple[str, str | None]:
    """The label that more than half of the annotators chose, or the fault for which there is none.

    An annotator who answered twice counts with the later answer; one who skipped the task does not count.
    """
    votes = [choices(one) for one in latest(annotations) if not one.get("was_cancelled")]
    if not votes:
        return "", annotation_fields.SKIPPED if annotations else None
    if len(votes) == 1 and len(votes[0]) != 1:
        return "", annotation_fields.SEVERAL if votes[0] else annotation_fields.SKIPPED
    counts = Counter(vote[0] for vote in votes if len(vote) == 1)
    label, count = counts.most_common(1)[0] if counts else ("", 0)
    return (label, None) if 2 * count > len(votes) else ("", annotation_fields.DISAGREE)


def latest(annotations: list[Any]) -> list[dict[str, Any]]:
    """One annotation for each annotator, the one that was changed last; all of those that do not say whose they are."""
    by_whom: dict[tuple[str, int], dict[str, Any]] = {}
    known = [one for one in annotations if isinstance(one, dict)]
    for place, one in enumerate(sorted(known, key=lambda one: str(one.get("updated_at") or ""))):
        who = one.get("completed_by")
        by_whom[("", place) if who is None else (json.dumps(who, sort_keys=True), 0)] = one
    return list(by_whom.values())


def choices(annotation: dict[str, Any]) -> list[str]:
    """What one annotation chose, each choice once; of several controls, the one that our labelling config names."""
    results = [one for one in annotation.get("result") or [] if isinstance(one, dict) and one.get("type") == "choices"]
    ours = [one for one in results if one.get("from_name") == annotation_fields.CHOICES] or results
    chosen = [str(choice) for one in ours for choice in (one.get("value") or {}).get("choices") or []]
    return list(dict.fromkeys(chosen))
