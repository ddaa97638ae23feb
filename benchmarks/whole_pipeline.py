"""Gleaner as a cell: its real stages from raw files to the bundle, then the bundle's predictions.

    python -m benchmarks.whole_pipeline CELL_FOLDER

The folder is a project root: params.yaml, raw/ for `ingest`, and data/, where pretrain may be done already because its
encoder is the same for every cell. Writes trained.json after `export`, and predictions.json for test.jsonl, the texts
of the test file in their own order; no stage reads that file.
"""

import sys
import time
from pathlib import Path

import psutil

from benchmarks.peers import read_rows
from pipeline.core.errors import UserError
from pipeline.core.params import load
from pipeline.core.stage import read_json, write_json
from pipeline.experiments.stage_runner import StageFailed, run_stage, stages
from pipeline.models import classifier

LAST = "export"


def main(folder: Path) -> None:
    """Run the stages, say how long they took from the start of the process, predict."""
    done = set(read_json(folder / "cell.json")["done"])
    ran = {stage: run_stage(stage, folder) for stage in stages(LAST) if stage not in done}
    trained = {
        "seconds": time.time() - psutil.Process().create_time(),
        "looked_up": sum(one.looked_up for one in ran.values()),
        "known": sum(one.known for one in ran.values()),
        "stages": {stage: round(one.seconds, 1) for stage, one in ran.items()},
    }
    write_json(trained, folder / "trained.json")
    model = classifier.load(folder / "data" / "export" / "bundle")
    texts = [row["text"] for row in read_rows(folder / "test.jsonl")]
    scores = model.predict(texts, load(folder / "params.yaml").encoder.batch_size)
    write_json([model.labels[i] for i in scores.argmax(axis=1)], folder / "predictions.json")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except (UserError, StageFailed) as error:
        raise SystemExit(str(error)) from None
