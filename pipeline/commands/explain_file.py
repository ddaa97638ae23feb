"""Explain the labels of texts on request: for each row of a file, the words that spoke for its label and against it.

Reads what `predict` reads. A row without a readable text is named with its fault and gets no explanation.
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
from pipeline.attribution.words import spans
from pipeline.core.errors import UserError
from pipeline.pages.highlighting import NAMES, marks, page, terminal
from pipeline.sources.text_rows import Row, opened, read, readable

CHUNK = 16  # rows explained at a time: a terminal shows the first ones soon
FORMATS = ("text", "json", "html")
ALL = "all"


@dataclass(frozen=True)
class Request:
    """What to explain, with what, and how to show it."""

    source: str  # a path, or - for standard input
    folder: Path  # of the model
    method: str  # of attribution.METHODS, or all
    text_column: str
    format: str
    settings: Settings


@dataclass(frozen=True)
class Answer:
    """A row's label and confidence, and what each method says of its words; or the row alone, where it has a fault."""

    row: Row
    label: str = ""
    confidence: float = 0.0
    by_method: dict[str, Attribution] | None = None


def explain_file(request: Request, out: TextIO) -> None:
    """Write an explanation of every row to ``out``.

    Raises UserError for what `predict` refuses, an unknown method or format, a model without the weights that the
    method needs, and a single method that cannot explain this model.
    """
    chosen = wanted(request)
    with opened(request.source) as stream:
        name = "standard input" if request.source == "-" else request.source
        rows = read(stream, name, request.text_column).rows
        model = attribution.load(request.folder, inside=not set(chosen) <= set(attribution.OUTSIDE))
        answers, refused = explained(model, rows, chosen, request)
        if request.format == "html":
            out.write(as_page(list(answers), refused))
            return
        for answer in answers:
            write = as_json if request.format == "json" else as_text
            out.write(write(answer, refused, out.isatty()))
            out.flush()


def wanted(request: Request) -> list[str]:
    """The methods that were asked for."""
    if request.format not in FORMATS:
        raise UserError(f"--format: expected one of {', '.join(FORMATS)}, found {request.format}")
    if request.method == ALL:
        return list(attribution.METHODS)
    if request.method not in attribution.METHODS:
        raise UserError(f"--method: expected one of {', '.join([*attribution.METHODS, ALL])}, found {request.method}")
    return [request.method]


def explained(
    model: Model, rows: Iterator[Row], methods: list[str], request: Request
) -> tuple[Iterator[Answer], dict[str, str]]:
    """The answer for each row, in order, and, filled on the way, the methods that cannot explain this model."""
    refused: dict[str, str] = {}

    def answers() -> Iterator[Answer]:
        while part := list(islice(rows, CHUNK)):
            yield from of_chunk(model, part, methods, refused, request)

    return answers(), refused


def of_chunk(
    model: Model, rows: list[Row], methods: list[str], refused: dict[str, str], request: Request
) -> list[Answer]:
    """The answers for some rows."""
    good = [row for row in rows if not row.fault]
    if not good:
        return [Answer(row) for row in rows]
    texts = [row.text for row in good]
    scores = model.probabilities(texts)
    best = scores.argmax(axis=1)
    directions = attribution.of(len(model.labels), best)
    found: dict[str, list[Attribution]] = {}
    for method in methods:
        try:
            found[method] = attribution.attribute(method, model, texts, directions, request.settings)
        except NotApplicable as why:
            if len(methods) == 1:
                raise UserError(f"--method: expected one that fits this model, found {method}: {why}") from None
            refused[method] = str(why)
    answers = iter(
        Answer(row, model.labels[best[i]], float(scores[i].max()), {method: one[i] for method, one in found.items()})
        for i, row in enumerate(good)
    )
    return [Answer(row) if row.fault else next(answers) for row in rows]


def as_json(answer: Answer, refused: dict[str, str], colours: bool) -> str:
    """One JSON object on a line; places are in characters, shares are signed parts of all that moved the score."""
    content: dict[str, Any] = {"line": answer.row.line}
    if answer.by_method is None:
        content |= {"label": None, "confidence": None, "fault": answer.row.fault}
    else:
        content |= {"label": answer.label, "confidence": round(answer.confidence, 6), "text": answer.row.text}
        content["methods"] = {name: numbers(answer.row.text, one) for name, one in answer.by_method.items()}
        content |= {"not_applicable": refused} if refused else {}
    return readable(json.dumps(content, ensure_ascii=False)) + "\n"


def numbers(text: str, one: Attribution) -> dict[str, Any]:
    """An attribution as plain data; score = base + sum of attributions + rest + unexplained, in logits."""
    words = [
        {"word": text[start:end], "start": start, "end": end, "attribution": value, "share": share}
        for (start, end), value, share in zip(
            spans(text), np.round(one.words, 6).tolist(), np.round(one.shares(), 6).tolist(), strict=True
        )
    ]
    parts = {"score": one.score, "base": one.base, "rest": one.rest, "unexplained": one.delta}
    return {name: round(value, 6) for name, value in parts.items()} | {"words": words}


def as_text(answer: Answer, refused: dict[str, str], colours: bool) -> str:
    """A block for people: label and confidence, then for each method the words for and against, with their shares."""
    head = f"line {answer.row.line}: "
    if answer.by_method is None:
        return f"{head}no label: {answer.row.fault}\n\n"
    text, lines = answer.row.text, [f"{head}{terminal.visible(answer.label)} ({answer.confidence:.1%})"]
    for method, one in answer.by_method.items():
        lines += [f"  {NAMES[method]}", *terminal.block(text, spans(text), one.shares(), colours)]
    lines += [f"  {NAMES[method]}: not applicable, as {why}" for method, why in refused.items()]
    return "\n".join(lines) + "\n\n"


def as_page(answers: list[Answer], refused: dict[str, str]) -> str:
    """All answers as one HTML page that loads nothing."""
    shown = []
    for answer in answers:
        text = readable(answer.row.text)
        views = [
            page.View(NAMES[method], "", marks.html(text, spans(text), one.shares()))
            for method, one in (answer.by_method or {}).items()
        ]
        said = f"no label: {answer.row.fault}" if answer.row.fault else f"{answer.label} ({answer.confidence:.1%})"
        shown.append(page.Shown(f"line {answer.row.line}", said, views))
    about = ["Shaded words with a + spoke for the label, those with a − against it; the darker, the more."]
    about += [f"Not applicable: {NAMES[method]}, as {why}." for method, why in refused.items()]
    return page.render("Why these texts got their labels", about, shown, [])
