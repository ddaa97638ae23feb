"""What a forget removes and leaves, one line a place, for people."""

from collections.abc import Iterator

from pipeline.labelling.operations_log import LOG
from pipeline.serving.text_numbers import SECRET_FILE
from tasks.dvc.objects import CACHE, REMOTE
from tasks.forget.run import Plan

VECTORS = {"vectors": "vectors", "reference": "vectors of the texts of a training"}  # actions, and what they remove


def count_lines(plan: Plan) -> Iterator[str]:
    """What is removed where, one line a place."""
    for place in (CACHE, REMOTE):
        objects = [item for item in plan.findings if item.place == place and item not in plan.left]
        if objects:
            masked = sum(item.masked > 0 for item in objects)
            yield f"{place}: {plural(len(objects), 'object')}{masked_note(masked, len(objects))}"
    for finding in plan.findings:
        if finding.place == "files" and finding not in plan.left:
            what = plural(len(finding.rows), "row") if finding.rows and finding.action != "remove" else "the file"
            note = masked_note(finding.masked, len(finding.rows) or 1)
            yield f"{finding.name}: {VECTORS.get(finding.action, what)}{note}"


def masked_note(masked: int, total: int) -> str:
    """What to add to a line on ``total`` records, of which the masked form of a given text alone names some."""
    if not masked:
        return ""
    subject = "" if masked == total else f"{masked} of them "
    its, it = ("its", "it") if masked == 1 else ("their", "they")
    return f", {subject}found by {its} masked form: {it} may be another person's; name rows by their ids to be sure"


def plural(count: int, noun: str) -> str:
    """A count with its noun, such as "2 rows"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def left_lines(plan: Plan) -> Iterator[str]:
    """What people have to do themselves, one line a file."""
    for name in plan.remotes:
        yield (
            f"{name}: it is no folder of this machine and was not searched; remove there the objects that {LOG} names "
            "as `DVC cache: MD5`"
        )
    for finding in plan.left:
        rows = f"record {', '.join(map(str, finding.rows[:10]))}" if finding.rows else "somewhere in it"
        if finding.action == "unsearched":
            name = finding.name if finding.place == "files" else f"{finding.place}, {finding.name}"
            yield f"{name}: it could not be read, so that nobody knows whether it holds the rows; look into it"
        elif finding.action == "untold":
            yield (
                f"{finding.name}: it has vectors of texts, and nobody can tell whose, because it is damaged or old, or "
                f"{SECRET_FILE} of its folder is gone; remove it, or wait until it is `monitor.keep.days` old"
            )
        elif finding.action == "absent":
            yield (
                f"{finding.name}: DVC keeps it with the rows, and it is not here as its pointer says; `dvc checkout` "
                "it, or `dvc add` it as it is now, then run the same command again"
            )
        else:
            note = masked_note(finding.masked, len(finding.rows) or 1)
            yield f"{finding.name}: {rows}{note}; it is yours, remove it there, or the next run reads it again"
