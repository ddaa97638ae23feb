"""What `gleaner suggest` writes and ingest reads back: the names that the two share, and nothing else."""

ID = "gleaner_id"  # the column, or key of a task's data, with the id of the pool row that was asked about
TEXT = "text"  # the key of a Label Studio task's data that holds the text
CHOICES = "label"  # the name of the control in the labelling config with whose choices annotators answer

# Why an answer could not be taken; the row stays in the pool, but is not suggested a second time.
SKIPPED = "skipped by the annotators"
SEVERAL = "several choices in an annotation"
DISAGREE = "annotators disagree"
CONFLICT = "conflicting labels among duplicates"
UNDECIDED = (SKIPPED, SEVERAL, DISAGREE, CONFLICT)
