"""What is a guess about labels and group values: each doubt has a sentence, and the lines of params that settle it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd

from pipeline.stages.ingest.quoting import quote_name, yaml_list, yaml_mapping


@dataclass(frozen=True)
class Proposal:
    """The rules that settle a doubt, if the guess is right."""

    rename: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()

    def rules(self) -> dict[str, str]:
        """The rules that are not empty: their key in params, and their value as YAML on one line."""
        rules = {"rename": yaml_mapping(self.rename), "missing": yaml_list(self.missing), "drop": yaml_list(self.drop)}
        return {key: value for key, value in rules.items() if value not in ("{}", "[]")}

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

    def line(self, key: str, attribute: str | None) -> str:
        """The finding with the lines that settle it.

        ``key`` is their section of params, such as ingest.labels; ``attribute`` is the group attribute, if it is one.
        """
        where = key if attribute is None else f"{key}, attribute {quote_name(attribute)}"
        keep = {"keep": yaml_list(self.values)} if yaml_list(self.values) != "[]" else {}
        answers = [
            f"{meaning}: {', '.join(f'{rule}: {of_attribute(value, attribute)}' for rule, value in rules.items())}"
            for meaning, rules in ((self.meaning, self.proposal.rules()), ("right as it is", keep))
            if rules
        ]
        return f"{where}: {self.sentence}" + (f" ({'; '.join(answers)})" if answers else "")


def of_attribute(rule: str, attribute: str | None) -> str:
    """A rule as the YAML value of one group attribute; as it is for labels."""
    return rule if attribute is None else f"{{{quote_name(attribute)}: {rule}}}"


def doubtful_rows(doubts: Iterable[Doubt], counts: "pd.Series[int]") -> int:
    """How many rows have a value that may be wrong; ``counts`` gives the rows of each value."""
    values = {value for doubt in doubts for value in doubt.values}
    return int(counts[counts.index.isin(list(values))].sum())
