"""Compare predictions with the labels that the input of `gleaner predict` has."""

from collections import Counter
from typing import Any

import numpy as np

from pipeline.metrics import statistics
from pipeline.models.answers import Answer
from pipeline.sources.label_cells import read_label
from pipeline.sources.spelling import plain_spelling
from pipeline.sources.text_rows import Row

NO_TEXT, NO_LABEL, UNKNOWN = "without a readable text", "without a label", "of a class that the model does not know"
ABSTAINED = "without an answer"


class Score:
    """Counts of true and predicted labels, row by row, so that a file larger than memory can be scored."""

    def __init__(self, labels: tuple[str, ...], column: str, header: list[str] | None) -> None:
        self.labels = labels
        self.column = column
        self.header = header  # None for JSON, whose rows have keys
        self.index_of = {plain_spelling(label): index for index, label in enumerate(labels)}
        self.counts = np.zeros((len(labels), len(labels)), dtype=np.int64)  # true class, predicted class
        self.left_out: Counter[str] = Counter()

    def add(self, rows: list[Row], predictions: list[Answer | None]) -> None:
        """Count the rows of one chunk; ``predictions`` are answers, or None for a row without a text."""
        for row, prediction in zip(rows, predictions, strict=True):
            label, fault = read_label(self.cell(row))
            if prediction is None:
                self.left_out[NO_TEXT] += 1
            elif label is None and not fault:
                self.left_out[NO_LABEL] += 1
            elif label is None or plain_spelling(label) not in self.index_of:
                self.left_out[UNKNOWN] += 1
            elif prediction.label is None:
                self.left_out[ABSTAINED] += 1
            else:
                self.counts[self.index_of[plain_spelling(label)], self.labels.index(prediction.label)] += 1

    def cell(self, row: Row) -> Any:
        """What a row has in the column of the labels; None if nothing."""
        if self.header is None:
            return row.content.get(self.column)
        return row.content[self.header.index(self.column)] if self.column in self.header else None

    def note(self) -> str:
        """One line: accuracy and macro-F1, both 0 to 1, of the rows that could be compared, and how many could not."""
        rows = int(self.counts.sum())
        total = rows + self.left_out.total()
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(self.left_out.items()))
        left_out = f"; not scored: {reasons}" if reasons else ""
        if not rows:
            return f"score: none of {total} rows{left_out}"
        accuracy, macro_f1 = np.trace(self.counts) / rows, float(statistics.macro_f1(self.counts))
        return f"score: accuracy {accuracy:.4f}, macro-F1 {macro_f1:.4f} on {rows} of {total} rows{left_out}"
