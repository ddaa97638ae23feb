"""Names of fields that `gleaner suggest` writes and ingest reads back."""

ID = "gleaner_id"  # column, or key of a task's data: the id of the pool row that annotators label
TEXT = "text"  # key of a Label Studio task's data: the text
CHOICES = "label"  # name of the control in the labelling config whose choices are the labels

# Why an answer is rejected; the row stays in the pool, but is not suggested a second time.
SKIPPED = "skipped by the annotators"
SEVERAL = "several choices in an annotation"
DISAGREE = "annotators disagree"
CONFLICT = "conflicting labels among duplicates"
UNDECIDED = (SKIPPED, SEVERAL, DISAGREE, CONFLICT)
