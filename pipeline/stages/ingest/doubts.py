"""What is a guess about labels and group values: each doubt has a sentence, and the lines of params that settle it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd

from pipeline.stages.ingest.quoting import yaml_list, yaml_mapping


@dataclass(frozen=True)
class Proposal:
    """The rules that settle a doubt, if the guess is right."""

    rename: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The rules as YAML, one line each."""
        rules = [("rename", yaml_mapping(self.rename))]
        rules += [("missing", yaml_list(self.missing)), ("drop", yaml_list(self.drop))]
        return [f"{key}: {value}" for key, value in rules if value not in ("{}", "[]")]

    def for_groups(self) -> "Proposal":
        """The same for a group attribute: a row is not dropped for its group, the group is not known then."""
        return Proposal(self.rename, (*self.missing, *self.drop))


@dataclass(frozen=True)
class Doubt:
    """One finding about the values of one column."""

    sentence: str  # what was found, with rows
    values: tuple[str, ...] = ()  # the values that may be wrong; their rows count as doubtful
    proposal: Proposal = Proposal()
    meaning: str = ""  # what the values are if the proposal is right, such as "one class"

    def line(self, key: str) -> str:
        """The finding with the lines that settle it; ``key`` is the section of params, such as ingest.labels."""
        answers = [f"{self.meaning}: {', '.join(self.proposal.lines())}"] if self.proposal.lines() else []
        answers += [f"right as it is: keep: {yaml_list(self.values)}"] if yaml_list(self.values) != "[]" else []
        return f"{key}: {self.sentence}" + (f" ({'; '.join(answers)})" if answers else "")


def doubtful_rows(doubts: Iterable[Doubt], counts: "pd.Series[int]") -> int:
    """How many rows have a value that may be wrong; ``counts`` gives the rows of each value."""
    values = {value for doubt in doubts for value in doubt.values}
    return int(counts[counts.index.isin(list(values))].sum())
