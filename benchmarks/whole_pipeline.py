"""Gleaner as a cell: the real stages from raw files to the bundle, then the bundle's predictions.

    python -m benchmarks.whole_pipeline CELL_FOLDER

The folder is a project root with params.yaml, raw/ for ingest, and data/. The output of pretrain may be there already,
because its encoder is the same for every cell. Writes trained.json after export, and predictions.json for the texts in
test.jsonl, in the order of the test file; no stage reads that file.
"""

import sys
import time
from pathlib import Path

import psutil

from benchmarks.peers import read_rows
from pipeline.core.errors import UserError
from pipeline.core.params import load_params
from pipeline.core.stage import read_json, write_json
from pipeline.experiments.stage_runner import StageFailed, run_stage, stage_names
from pipeline.models import classifier

LAST = "export"


def main(folder: Path) -> None:
    """Run the stages, write the seconds since the start of the process, and predict."""
    done = set(read_json(folder / "cell.json")["done"])
    costs = {stage: run_stage(stage, folder) for stage in stage_names(LAST) if stage not in done}
    trained = {
        "seconds": time.time() - psutil.Process().create_time(),
        "looked_up": sum(cost.looked_up for cost in costs.values()),
        "known": sum(cost.known for cost in costs.values()),
        "stages": {stage: round(cost.seconds, 1) for stage, cost in costs.items()},
    }
    write_json(trained, folder / "trained.json")
    model = classifier.load(folder / "data" / "export" / "bundle")
    texts = [row["text"] for row in read_rows(folder / "test.jsonl")]
    scores = model.predict(texts, load_params(folder / "params.yaml").encoder.batch_size)
    write_json([model.labels[i] for i in scores.argmax(axis=1)], folder / "predictions.json")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except (UserError, StageFailed) as error:
        raise SystemExit(str(error)) from None
