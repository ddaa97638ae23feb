"""Explain the labels of the texts in a file: for each row, the words that spoke for its label and against it.

A text that gets no label is explained by its most probable one. Reads what `predict` reads. A row without a readable
text gets its fault instead of an explanation.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from pipeline import attribution
from pipeline.attribution import Attribution, Model, NotApplicable, Settings
from pipeline.attribution.words import word_spans
from pipeline.commands.served_bundle import ServedBundle
from pipeline.core.errors import UserError
from pipeline.core.params import load_params
from pipeline.core.printable import print_note, printable
from pipeline.models.answers import Answer
from pipeline.pages.highlighting import METHOD_NAMES, page, segments, terminal
from pipeline.sources.text_format import Choice, check_format
from pipeline.sources.text_rows import Row, read_rows, replace_invalid
from pipeline.sources.text_stream import open_lines, source_name

CHUNK_ROWS = 16  # rows explained at a time, so that a terminal shows the first ones soon
FORMATS = ("text", "json", "html")
ALL = "all"
SEED = 0  # of LIME's variants: the same text always gets the same explanation


@dataclass(frozen=True)
class Request:
    """What to explain, with which model, method and settings, and how to show it."""

    source: str  # a path, or - for standard input
    served: ServedBundle
    method: str  # of attribution.METHODS, or all
    choice: Choice  # how to read the source
    format: str  # of the output
    settings: Settings


@dataclass(frozen=True)
class ExplainedRow:
    """A row with its answer and the attribution of its most probable label by each method.

    ``answer`` and ``by_method`` are None for a row with a fault.
    """

    row: Row
    answer: Answer | None = None
    by_method: dict[str, Attribution] | None = None


def settings_with_defaults(steps: int | None, baseline: str | None, samples: int | None, params: Path) -> Settings:
    """The settings that were given; those that are None come from the section explain of the file ``params``.

    The file is read only if one of them is None. Raises UserError if it is missing or faulty then.
    """
    if steps is None or baseline is None or samples is None:
        defaults = load_params(params).explain
        steps = defaults.steps if steps is None else steps
        baseline = defaults.baseline if baseline is None else baseline
        samples = defaults.lime_samples if samples is None else samples
    return Settings(steps, baseline, samples, SEED)


def explain_file(request: Request, out: TextIO) -> None:
    """Write an explanation of every row to ``out``.

    Raises UserError for what `predict` refuses, an unknown method or format, a model without the weights that the
    method needs, and a single method that cannot explain this model.
    """
    methods = requested_methods(request)
    check_format(request.choice)
    with open_lines(request.source, request.choice) as lines:
        name = source_name(request.source)
        table = read_rows(lines, name, request.choice)
        model = attribution.load(
            request.served.folder, with_internals=not set(methods) <= set(attribution.BLACK_BOX_METHODS)
        )
        for note in filter(None, [request.served.note, f"{name}: read as {table.reading}"]):
            print_note(note)
        not_applicable: dict[str, str] = {}
        explained_rows = explain_rows(model, table.rows, methods, not_applicable, request.settings)
        if request.format == "html":
            out.write(to_page(list(explained_rows), not_applicable, request.served.note))
            return
        for explained in explained_rows:
            if request.format == "json":
                out.write(to_json(explained, not_applicable, request.served.version))
            else:
                out.write(to_text(explained, not_applicable, colours=out.isatty()))
            out.flush()


def requested_methods(request: Request) -> list[str]:
    """The methods that were asked for. Raises UserError for an unknown method or format."""
    if request.format not in FORMATS:
        raise UserError(f"--format: expected one of {', '.join(FORMATS)}, found {request.format}")
    if request.method == ALL:
        return list(attribution.METHODS)
    if request.method not in attribution.METHODS:
        raise UserError(f"--method: expected one of {', '.join([*attribution.METHODS, ALL])}, found {request.method}")
    return [request.method]


def explain_rows(
    model: Model, rows: Iterator[Row], methods: list[str], not_applicable: dict[str, str], settings: Settings
) -> Iterator[ExplainedRow]:
    """Each row explained, in order. Methods that cannot explain this model go to ``not_applicable``, with a reason."""
    while chunk := list(islice(rows, CHUNK_ROWS)):
        yield from explain_chunk(model, chunk, methods, not_applicable, settings)


def explain_chunk(
    model: Model, rows: list[Row], methods: list[str], not_applicable: dict[str, str], settings: Settings
) -> list[ExplainedRow]:
    """The rows of a chunk explained, in order; adds to ``not_applicable`` as `explain_rows` does.

    Raises UserError if the only method cannot explain this model.
    """
    readable = [row for row in rows if not row.fault]
    if not readable:
        return [ExplainedRow(row) for row in rows]
    texts = [row.text for row in readable]
    answers = model.answers(texts)
    best = np.array([model.labels.index(answer.best) for answer in answers])
    directions = attribution.score_directions(len(model.labels), best)
    by_method: dict[str, list[Attribution]] = {}
    for method in methods:
        try:
            by_method[method] = attribution.attribute(method, model, texts, directions, settings)
        except NotApplicable as reason:
            if len(methods) == 1:
                raise UserError(f"--method: expected one that fits this model, found {method}: {reason}") from None
            not_applicable[method] = str(reason)
    explained = iter(
        ExplainedRow(
            row,
            answer=answers[i],
            by_method={method: attributions[i] for method, attributions in by_method.items()},
        )
        for i, row in enumerate(readable)
    )
    return [ExplainedRow(row) if row.fault else next(explained) for row in rows]


def to_json(explained: ExplainedRow, not_applicable: dict[str, str], version: str | None) -> str:
    """One JSON object on a line. Positions are in characters; shares are signed parts of all that moved the score."""
    content: dict[str, Any] = {"line": explained.row.line, "version": version}
    if explained.answer is None or explained.by_method is None:
        content |= {"label": None, "confidence": None, "fault": explained.row.fault}
    else:
        text, answer = explained.row.text, explained.answer
        content |= {"label": answer.label, "confidence": round(answer.confidence, 6), "reason": answer.reason}
        content |= {"explained_label": answer.best, "text": text}
        content["methods"] = {name: attribution_values(text, values) for name, values in explained.by_method.items()}
        content |= {"not_applicable": not_applicable} if not_applicable else {}
    return replace_invalid(json.dumps(content, ensure_ascii=False)) + "\n"


def attribution_values(text: str, values: Attribution) -> dict[str, Any]:
    """An attribution as plain data; score = base + sum of attributions + rest + unexplained, in logits."""
    attributions, shares = np.round(values.words, 6).tolist(), np.round(values.shares(), 6).tolist()
    words = [
        {"word": text[start:end], "start": start, "end": end, "attribution": attribution_of_word, "share": share}
        for (start, end), attribution_of_word, share in zip(word_spans(text), attributions, shares, strict=True)
    ]
    parts = {"score": values.score, "base": values.base, "rest": values.rest, "unexplained": values.unexplained}
    return {name: round(value, 6) for name, value in parts.items()} | {"words": words}


def describe(answer: Answer) -> str:
    """The answer in a few words; where there is no label, why, and whose words are shown."""
    probable = f"{answer.best} ({answer.confidence:.1%})"
    return (
        f"no label: {answer.reason}; the words are those of the most probable one, {probable}"
        if answer.abstained
        else probable
    )


def to_text(explained: ExplainedRow, not_applicable: dict[str, str], colours: bool) -> str:
    """Lines for people: label and confidence, then for each method the words for and against, with their shares."""
    head = f"line {explained.row.line}: "
    if explained.answer is None or explained.by_method is None:
        return f"{head}no label: {explained.row.fault}\n\n"
    text = explained.row.text
    lines = [f"{head}{printable(describe(explained.answer))}"]
    for method, values in explained.by_method.items():
        lines.append(f"  {METHOD_NAMES[method]}")
        lines += terminal.format_explanation(text, word_spans(text), values.shares(), colours)
    lines += [f"  {METHOD_NAMES[method]}: not applicable, as {reason}" for method, reason in not_applicable.items()]
    return "\n".join(lines) + "\n\n"


def to_page(explained_rows: list[ExplainedRow], not_applicable: dict[str, str], note: str) -> str:
    """All rows as one HTML page that loads nothing; ``note`` says whose answers these are, or is empty."""
    texts = []
    for explained in explained_rows:
        text = replace_invalid(explained.row.text)
        views = [
            page.MethodView(METHOD_NAMES[method], "", segments.to_html(text, word_spans(text), values.shares()))
            for method, values in (explained.by_method or {}).items()
        ]
        answer = f"no label: {explained.row.fault}" if explained.answer is None else describe(explained.answer)
        texts.append(page.ExplainedText(f"line {explained.row.line}", answer, views))
    about = ["Shaded words with a + spoke for the label, those with a − against it; the darker, the more."]
    about += [f"{note[0].upper()}{note[1:]}."] if note else []
    about += [f"Not applicable: {METHOD_NAMES[method]}, as {reason}." for method, reason in not_applicable.items()]
    return page.render("Why these texts got their labels", about, texts, [])
