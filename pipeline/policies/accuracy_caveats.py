"""Why an accuracy is low or says little, in sentences: for the report, the terminal and the message of a night."""

from pipeline.core.stage import Metrics

NAMED_CLASSES = 5
UNLEARNED = "test_classes_without_gold_label"


def accuracy_caveats(metrics: Metrics) -> list[str]:
    """A sentence for each reason that the ``metrics`` of evaluate give; empty if there is none.

    They are nested, as in metrics.json, or by dotted name, as in the report.
    """
    return [line for line in (unlearned_classes(metrics), below_largest_class(metrics)) if line]


def unlearned_classes(metrics: Metrics) -> str:
    """The test classes that no gold row has; empty if every test class has one."""
    # Runs before this was measured lack it.
    dotted = [key.removeprefix(f"{UNLEARNED}.") for key in metrics if key.startswith(f"{UNLEARNED}.")]
    classes = [*metrics.get(UNLEARNED, ()), *dotted]
    if not classes:
        return ""
    rows = f"{metrics['test_rows_without_gold_label']} of {metrics['test_rows']} test rows"
    if rows_with_gold(metrics) == 0:
        return f"No test class has a gold row ({rows}): the model knows the classes by their names at best."
    more = f" and {len(classes) - NAMED_CLASSES} more" if len(classes) > NAMED_CLASSES else ""
    named = ", ".join(f'"{name}"' for name in classes[:NAMED_CLASSES]) + more
    subject = "A test class has" if len(classes) == 1 else f"{len(classes)} test classes have"
    return (
        f"{subject} no gold row, so the model cannot have learned from labels what is right for {rows}: {named}. Add "
        "labels, or join spellings of one class with ingest.labels.rename."
    )


def rows_with_gold(metrics: Metrics) -> int:
    """How many test rows have a class with a gold row."""
    return int(metrics["test_rows"]) - int(metrics["test_rows_without_gold_label"])


def below_largest_class(metrics: Metrics) -> str:
    """That accuracy is below the share of the largest class; empty if it is not."""
    accuracy, share = metrics.get("accuracy"), metrics.get("largest_class_share")
    if accuracy is None or share is None or accuracy >= share:
        return ""
    return (
        f"Accuracy {accuracy:.3f} is below {share:.3f}, the share of test rows of the largest class "
        f'"{metrics["largest_class"]}": answering that class every time would be right more often.'
    )
