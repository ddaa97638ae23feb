"""The overlay of params that accepts every proposal of the check of labels and group values."""

from pipeline.core.params import GroupRules, Ingest, LabelRules
from pipeline.stages.ingest.doubts import Doubt, Proposal
from pipeline.stages.ingest.quoting import quote_name

HOW_TO_SETTLE = "to accept all proposals, save the next line as settle.yaml and run `gleaner configure settle.yaml`:"


def settling_lines(label_doubts: list[Doubt], doubts_by_attribute: dict[str, list[Doubt]], params: Ingest) -> list[str]:
    """What to do with the overlay, and the overlay as one line of YAML; empty if nothing is proposed.

    An overlay replaces rules as a whole, so those that params have already are in it.
    """
    sections = []
    if rules := settle_labels(label_doubts, params.labels):
        sections.append(f"labels: {{{rules}}}")
    if rules := settle_groups(doubts_by_attribute, params.group_values):
        sections.append(f"group_values: {{{rules}}}")
    if not sections:
        return []
    return [HOW_TO_SETTLE, f"ingest: {{{', '.join(sections)}}}"]


def settle_labels(doubts: list[Doubt], rules: LabelRules) -> str:
    """The rules of labels with those that the doubts propose, as YAML; empty if none is proposed."""
    proposed = merge_proposals(doubts)
    if not proposed.rules():
        return ""
    before = Proposal(rules.rename, tuple(rules.missing), tuple(rules.drop))
    return ", ".join(f"{key}: {value}" for key, value in add_proposal(before, proposed).rules().items())


def settle_groups(doubts_by_attribute: dict[str, list[Doubt]], rules: GroupRules) -> str:
    """The rules of group values with those that the doubts propose, as YAML; empty if none is proposed."""
    proposed = {attribute: merge_proposals(doubts) for attribute, doubts in doubts_by_attribute.items()}
    if not any(proposal.rules() for proposal in proposed.values()):
        return ""
    lines: dict[str, list[str]] = {}
    for attribute in sorted({*proposed, *rules.rename, *rules.missing}):
        before = Proposal(rules.rename.get(attribute, {}), tuple(rules.missing.get(attribute, [])))
        for key, value in add_proposal(before, proposed.get(attribute, Proposal())).rules().items():
            lines.setdefault(key, []).append(f"{quote_name(attribute)}: {value}")
    return ", ".join(f"{key}: {{{', '.join(values)}}}" for key, values in lines.items())


def merge_proposals(doubts: list[Doubt]) -> Proposal:
    """The proposals of all doubts; of two for one value, the first counts."""
    rename: dict[str, str] = {}
    missing: list[str] = []
    drop: list[str] = []
    for proposal in (doubt.proposal for doubt in doubts):
        settled = {*rename, *missing, *drop}
        rename |= {old: new for old, new in proposal.rename.items() if old not in settled}
        missing += [value for value in proposal.missing if value not in settled]
        drop += [value for value in proposal.drop if value not in settled]
    return Proposal(rename, tuple(missing), tuple(drop))


def add_proposal(before: Proposal, proposed: Proposal) -> Proposal:
    """The rules ``before`` and those proposed; a name that is to be renamed is renamed in the rules before, too."""
    rename = {old: proposed.rename.get(new, new) for old, new in before.rename.items()} | proposed.rename
    missing, drop = dict.fromkeys((*before.missing, *proposed.missing)), dict.fromkeys((*before.drop, *proposed.drop))
    return Proposal(rename, tuple(missing), tuple(drop))
