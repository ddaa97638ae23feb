"""Reasons for which ingest sets a row aside although nothing is lost: its text is in a row that is used."""

REPEATED = "exact duplicate"
LABELLED_ELSEWHERE = "labelled in another row"  # the twin in the pool of an answer, or of any other labelled row
HELD_OUT = {split: f"duplicates a {split} row" for split in ("test", "validation")}
TWINS = {REPEATED, LABELLED_ELSEWHERE, *HELD_OUT.values()}
