"""What the students of a fine-tuning start from and learn."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.core.params import Compute, Encoder
from pipeline.stages.finetune.penalty import Penalty


@dataclass(frozen=True)
class Task:
    """What every student starts from and learns."""

    encoder: Encoder
    labels: list[str]
    start: Path  # the folder of the encoder
    teacher_heads: Path  # the file that pseudo_label wrote
    train: pd.DataFrame
    validation: pd.DataFrame
    penalty: Penalty | None
    compute: Compute
    workers: int  # that train one student together
