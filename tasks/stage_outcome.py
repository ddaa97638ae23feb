"""How a stage of a run ended. It needs no Prefect to be known."""

from dataclasses import dataclass
from typing import Literal

StageStatus = Literal["ran", "cached", "restored", "failed", "stopped", "not reached"]


@dataclass(frozen=True)
class StageOutcome:
    """How a stage ended."""

    stage: str
    status: StageStatus
    seconds: float = 0.0
    message: str = ""  # why it failed
    user_error: bool = False

    @property
    def done(self) -> bool:
        """Whether the stage's outputs exist and are up to date."""
        return self.status in ("ran", "cached", "restored")
