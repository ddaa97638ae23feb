"""What a bundle answers to a text: a label, or none where the text is unlike every class."""

from typing import NamedTuple

UNLIKE_EVERY_CLASS = "unlike every class"


class Answer(NamedTuple):
    """The answer to one text."""

    label: str | None  # None: the model abstains
    confidence: float  # of the most probable class, calibrated, 0 to 1, whether it is given as the label or not
    score: (
        float | None
    )  # how unlike every class the text is; above the bundle's threshold it abstains; None: not scored

    @property
    def abstained(self) -> bool:
        """Whether the model gives no label."""
        return self.label is None

    @property
    def reason(self) -> str | None:
        """Why there is no label; None where there is one."""
        return UNLIKE_EVERY_CLASS if self.abstained else None
