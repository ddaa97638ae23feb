"""The check of labels and group values before anything is trained: what is a guess is told, or stops the run."""

from dataclasses import dataclass, replace

import pandas as pd

from pipeline.core.errors import combine_errors
from pipeline.core.params import Ingest
from pipeline.core.table import GROUP_PREFIX
from pipeline.sources.value_rules import group_value_rules, label_value_rules
from pipeline.stages.ingest.containers import container_doubts, header_doubts
from pipeline.stages.ingest.doubts import Doubt, doubtful_rows
from pipeline.stages.ingest.look_alike import look_alike_doubts
from pipeline.stages.ingest.missing_words import missing_word_doubts
from pipeline.stages.ingest.quoting import quote_name
from pipeline.stages.ingest.rare_classes import rare_class_notes, unlearned_class_doubts
from pipeline.stages.ingest.settling import settling_lines

MOST_LINES = 30  # of doubts about one column
GROUP_KEY = "ingest.group_values"


@dataclass(frozen=True)
class ColumnCheck:
    """The doubts about the labels or one group attribute, and what they concern."""

    key: str  # section of params that settles them
    attribute: str | None  # None: the labels
    doubts: list[Doubt]
    doubtful: int  # rows
    rows: int  # that have a value

    def is_above(self, share: float) -> bool:
        """Whether more than this share of the rows is in doubt."""
        return self.doubtful > share * self.rows

    def lines(self) -> list[str]:
        """A line for each doubt."""
        lines = [doubt.line(self.key, self.attribute) for doubt in self.doubts[:MOST_LINES]]
        more = len(self.doubts) - MOST_LINES
        return [*lines, f"{self.key}: {more} more doubts of these kinds"] if more > 0 else lines


def check_values(rows: pd.DataFrame, params: Ingest) -> list[str]:
    """The doubts about labels and group values, and what else is worth a look: a line each.

    ``rows`` are all rows with their labels, before splits are drawn. Arrivals were checked when they came, so no values
    of theirs are in doubt. Raises UserError, with a line for each doubt and the lines of params that settle them, if
    ``ingest.doubts`` is "stop" and the doubts concern more than ``ingest.max_doubtful_share`` of the rows.
    """
    needed = ["split", "label", "arrived", *(GROUP_PREFIX + attribute for attribute in params.columns.groups)]
    usable = rows.loc[rows["reason"].isna(), needed]
    labelled = usable.loc[usable["label"].notna(), ["split", "label", "arrived"]].astype({"split": "str"})
    of_source = usable[~usable["arrived"]]
    checks = [check_labels(labelled, params)]
    checks += [check_group(of_source, attr, params) for attr in params.columns.groups if attr not in params.group_bins]
    lines = [line for check in checks for line in check.lines()]
    stopping = [check for check in checks if check.is_above(params.max_doubtful_share)]
    if params.doubts == "stop" and stopping:
        of_labels, *of_groups = checks
        doubts_by_attribute = {str(check.attribute): check.doubts for check in of_groups}
        settling = settling_lines(of_labels.doubts, doubts_by_attribute, params)
        raise combine_errors([*map(describe_stop, stopping), *lines, *settling])
    notes = rare_class_notes(labelled, is_test_given="test" in set(labelled["split"]))
    return lines + [f"ingest.labels: {note}" for note in notes]


def check_labels(labelled: pd.DataFrame, params: Ingest) -> ColumnCheck:
    """The doubts about the labels of the source; arrivals count as rows to train on.

    ``labelled`` holds the usable rows with a label: split, label, arrived.
    """
    counts = labelled.loc[~labelled["arrived"], "label"].value_counts()
    keep = label_value_rules(params.labels).keep
    doubts = missing_word_doubts(counts, keep, "label") + look_alike_doubts(counts, keep, "class")
    doubts += container_doubts(counts, keep) + header_doubts(counts, keep, params.columns.label or "")
    explained = {value for doubt in doubts for value in (*doubt.values, *doubt.proposal.rename.values())}
    doubts += unlearned_class_doubts(labelled, (*keep, *explained))
    return ColumnCheck("ingest.labels", None, doubts, doubtful_rows(doubts, counts), int(counts.sum()))


def check_group(rows: pd.DataFrame, attribute: str, params: Ingest) -> ColumnCheck:
    """The doubts about the values of one group attribute; ``rows`` are the usable rows of the source."""
    counts = rows[GROUP_PREFIX + attribute].value_counts()
    keep = group_value_rules(params.group_values, attribute).keep
    doubts = missing_word_doubts(counts, keep, "group") + look_alike_doubts(counts, keep, "group")
    doubts += container_doubts(counts, keep) + header_doubts(counts, keep, params.columns.groups[attribute])
    doubts = [replace(doubt, proposal=doubt.proposal.for_groups()) for doubt in doubts]
    return ColumnCheck(GROUP_KEY, attribute, doubts, doubtful_rows(doubts, counts), int(counts.sum()))


def describe_stop(check: ColumnCheck) -> str:
    """The line that says why a run stops."""
    what = "labels" if check.attribute is None else f"values of the group attribute {quote_name(check.attribute)}"
    return (
        f"{check.key}: expected {what} beyond doubt, found {check.doubtful} of {check.rows} rows "
        f"({check.doubtful / check.rows:.0%}) with a doubtful one, over ingest.max_doubtful_share; settle the lines "
        "below, or set ingest.doubts to warn"
    )
