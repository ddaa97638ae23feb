"""SetFit on the gold rows of one cell: contrastive fine-tuning of the encoder, then a logistic regression.

    benchmarks/scratch/setfit/bin/python benchmarks/setfit_peer.py CELL_FOLDER

Runs in a separate environment and imports nothing of the project. Reads cell.json, raw/train.jsonl and test.jsonl;
writes predictions.json and trained.json. Pairs are drawn as in the paper (Tunstall et al. 2022): 20 times a positive
and a negative pair for each row (``num_iterations``). Everything else is the library's default: batches of 16, one
epoch, encoder lr 2e-5. Since 1.0 the library's default is all pairs, oversampled, whose number grows with the square of
the rows: banking77 with 8 labels a class would take hours on two cores.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path


def main(folder: Path) -> None:
    """Train, predict, and write both results."""
    started = time.monotonic()
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    cell = json.loads((folder / "cell.json").read_text(encoding="utf-8"))
    rows = [row for row in read(folder / "raw" / "train.jsonl") if row["label"]]
    labels = sorted({row["label"] for row in rows})
    options = {"num_iterations": 20, "seed": cell["seed"]} | cell["options"]
    classes = [labels.index(row["label"]) for row in rows]
    model = SetFitModel.from_pretrained(cell["encoder"], local_files_only=True)
    arguments = TrainingArguments(output_dir=str(folder / "setfit"), report_to="none", save_strategy="no", **options)
    data = Dataset.from_dict({"text": [row["text"] for row in rows], "label": classes})
    Trainer(model=model, args=arguments, train_dataset=data).train()
    seconds = time.monotonic() - started
    predicted = model.predict([row["text"] for row in read(folder / "test.jsonl")], batch_size=32, as_numpy=True)
    (folder / "predictions.json").write_text(
        json.dumps([labels[int(number)] for number in predicted]), encoding="utf-8"
    )
    versions = {name: version(name) for name in ("setfit", "sentence-transformers", "transformers", "torch")}
    trained = {"seconds": seconds, "looked_up": 0, "known": 0, "versions": versions}
    (folder / "trained.json").write_text(json.dumps(trained), encoding="utf-8")


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
