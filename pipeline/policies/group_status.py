"""What a group's status says in tables for people: whether its rows are enough, and the gate's verdict beside it."""

ENOUGH_ROWS = {  # status in groups.csv: what it means
    "ok": "yes",
    "insufficient": "too few",
    "unknown": "no group",
}


def gap_verdict_of_group(status: str, attribute_verdict: str) -> str:
    """The gate's verdict on the gap of the group's attribute; empty for a group that has no part in the gap."""
    return attribute_verdict if status == "ok" else ""
