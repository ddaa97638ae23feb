"""The comparison of encoders: what a row of its table says."""

from collections.abc import Callable
from pathlib import Path

from benchmarks.encoders import measure
from benchmarks.tasks import Rows, Task
from pipeline.core.params import Params
from pipeline.core.stage import Paths


def test_a_row_has_the_accuracy_over_all_draws_on_the_texts_that_count(
    tiny_encoder: Path, params: Callable[..., Params], tmp_path: Path
) -> None:
    texts = ["refund", "courier"] * 12
    rows = Rows(texts, [f"about {text}" for text in texts])
    encoder = params({"encoder": {"source": "path", "name": str(tiny_encoder), "sha256": None}}).encoder
    row = measure(Task("letters", rows, [], rows, {}), encoder, k=2, seeds=3, most=10, paths=Paths(tmp_path))
    date, task, name, megabytes, accuracy, draws, count, speed = [cell.strip() for cell in row.strip("| ").split("|")]
    assert (task, name, draws, count) == ("letters, 2", str(tiny_encoder), "3", "10")
    assert accuracy == "1.000 ± 0.000" and int(speed) > 0 and date.count("-") == 2 and int(megabytes) >= 0
