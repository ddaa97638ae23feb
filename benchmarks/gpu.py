"""How fast trainings run on a GPU: tokens a second, share of its bfloat16 peak, memory.

    python -m benchmarks.gpu --output gpu.json            # on a machine with a GPU; minutes
    python -m benchmarks.gpu --small                      # tiny models on a CPU: that it runs, not how fast

Three trainings by the code of the stages, in bfloat16 and compiled: a BERT-base shape from scratch and the encoder of
params.yaml, both by masked words on packed texts, and fine-tuning on labelled texts, with the attention that the stage
uses and with that of torch (SDPA). benchmarks/training_speed.py says how operations are counted. The peak is a
parameter; 790 TFLOP/s were measured on an H200. Without a GPU only --small runs. Prints JSON and rows for LOG.md.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.log import ROOT, commit
from benchmarks.tasks import load_task
from benchmarks.training_speed import Speed, step_timer, training_speed
from pipeline.core.errors import UserError
from pipeline.core.params import Params, load_params
from pipeline.core.params.pretrain import Scratch
from pipeline.models import encoder as encoders

PEAK = 790.0  # TFLOP/s in bfloat16, measured for large products of matrices on an H200
BERT_BASE = Scratch(vocabulary=30522, hidden=768, layers=12, heads=12)
TINY = Scratch(vocabulary=600, hidden=32, layers=2, heads=2)
COLUMNS = ("device", "training", "steps", "tokens a second", "TFLOP/s", "share of the peak", "padding", "GiB", "commit")


@dataclass(frozen=True)
class Size:
    """How much is trained: rows of ``length`` tokens in a batch, steps in all and before the clock starts."""

    rows: int
    length: int
    steps: int
    warmup: int
    texts: int
    scratch: Scratch
    compile: bool


FULL = Size(rows=128, length=512, steps=60, warmup=20, texts=120_000, scratch=BERT_BASE, compile=True)
SMALL = Size(rows=2, length=32, steps=4, warmup=1, texts=120, scratch=TINY, compile=False)


def main(words: Sequence[str] | None = None) -> int:
    """Run all trainings; exit code 2 where there is no GPU and --small was not asked for."""
    parser = argparse.ArgumentParser(prog="benchmarks.gpu", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--small", action="store_true", help="tiny models and few steps, on whatever there is")
    parser.add_argument("--compile", action="store_true", help="with --small: compile as the large ones are")
    parser.add_argument("--steps", type=int, help="optimizer steps of each training")
    parser.add_argument("--rows", type=int, help="rows of a batch; fewer where memory is short")
    parser.add_argument("--peak-tflops", type=float, default=PEAK, help="of the card, in bfloat16 (%(default)s)")
    parser.add_argument("--output", type=Path, help="a file for the JSON")
    chosen = parser.parse_args(words)
    if not has_gpu() and not chosen.small:
        print("benchmarks.gpu: expected a GPU, found none; --small runs tiny models on the CPU", file=sys.stderr)
        return 2
    size = SMALL if chosen.small else FULL
    size = replace(
        size, steps=chosen.steps or size.steps, rows=chosen.rows or size.rows, compile=size.compile or chosen.compile
    )
    if size.steps <= size.warmup:
        parser.error(f"--steps: expected more than the {size.warmup} before the clock starts, found {size.steps}")
    rows = demo_rows() if chosen.small else news_rows()
    result = measure(load_params(ROOT / "params.yaml"), rows, size, chosen.peak_tflops)
    text = json.dumps(result, indent=2)
    if chosen.output:
        chosen.output.write_text(text + "\n", encoding="utf-8")
    print(text, *log_rows(result), sep="\n")
    return 0


def has_gpu() -> bool:
    """Whether torch sees a GPU."""
    import torch

    return bool(torch.cuda.is_available())


def measure(params: Params, rows: pd.DataFrame, size: Size, peak_tflops: float) -> dict[str, Any]:
    """The speed of each training on ``rows`` (text, target, weight), and on what it was measured."""
    import torch

    rows = rows.iloc[: size.texts].reset_index(drop=True)
    peak = peak_tflops if has_gpu() else None
    trainings = {}
    for name, train, options in (
        ("BERT from scratch, masked words", pretraining, {"from_scratch": True}),
        ("continued, masked words", pretraining, {"from_scratch": False}),
        ("fine-tuning", finetuning, {"attention": None}),
        ("fine-tuning with SDPA", finetuning, {"attention": "sdpa"}),
    ):
        print(f"benchmarks.gpu: {name}", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder:
            speed = train(params, rows, size, Path(folder) / "benchmark" / "checkpoints", **options)
        share = round(speed.tflops / peak, 4) if peak else None
        trainings[name] = asdict(speed) | {"share_of_peak": share}
    return {
        "device": torch.cuda.get_device_name() if peak else "CPU",
        "peak_tflops": peak,
        "torch": torch.__version__,
        "commit": commit(),
        "size": asdict(size) | {"scratch": size.scratch.model_dump()},
        "trainings": trainings,
    }


def news_rows() -> pd.DataFrame:
    """The training file of ag_news: text, target (class index) and weight."""
    train = load_task("ag_news").train
    return as_rows(train.texts, train.labels)


def demo_rows() -> pd.DataFrame:
    """The gold rows of the demo, in the same columns."""
    table = pd.read_csv(ROOT / "data" / "demo" / "train.csv")
    return as_rows(table["text"].tolist(), table["intent"].tolist())


def as_rows(texts: list[str], labels: list[str]) -> pd.DataFrame:
    """Rows as `supervised.fit` takes them."""
    return pd.DataFrame({"text": texts, "target": pd.factorize(pd.Series(labels), sort=True)[0], "weight": 1.0})


def pretraining(params: Params, rows: pd.DataFrame, size: Size, folder: Path, from_scratch: bool) -> Speed:
    """The speed of training by masked words on packed texts, of a new encoder or of that of params.yaml."""
    from pipeline.stages.pretrain.packing import attention_within_texts
    from pipeline.stages.pretrain.run import prepare_data, prepare_model
    from pipeline.training import trainer

    changes = {"objective": "mlm", "packing": True, "from_scratch": from_scratch, "scratch": size.scratch}
    settings = params.pretrain.model_copy(update=shared_changes(size) | changes)
    encoder = params.encoder.model_copy(update={"max_length": size.length})
    texts = rows["text"].tolist()
    model, tokenizer = prepare_model(texts, None if from_scratch else encoders.locate(encoder), settings, encoder)
    data, lengths = prepare_data(tokenizer, texts, settings, encoder)
    timer = step_timer(size.warmup)
    with attention_within_texts(model):
        trainer.train(trainer.build(model, data, settings, folder, callbacks=[timer], section="pretrain"))
    by_batch = [[lengths[row] for _, row in batch] for batch in data.train]
    return training_speed(model, by_batch, [size.rows * size.length] * len(by_batch), timer)


def finetuning(params: Params, rows: pd.DataFrame, size: Size, folder: Path, attention: str | None) -> Speed:
    """The speed of training the classifier; ``attention`` replaces the one that the stage uses."""
    from pipeline.training import supervised, trainer

    settings = params.finetune.model_copy(update=shared_changes(size))
    encoder = params.encoder.model_copy(update={"max_length": size.length})
    labels = [str(target) for target in sorted(rows["target"].unique())]
    net, tokenizer = supervised.create_network(encoders.locate(encoder), labels, encoder, settings)
    if attention:
        net.encoder.set_attn_implementation(attention)
    extras = supervised.Extras(model=net, heads=[net.head], extra_inputs=None, callbacks=[], soft_targets=None)
    data = supervised.prepare_data(net, tokenizer, rows, rows.iloc[:0], settings, extras)
    optimizer, timer = supervised.create_optimizer(net, [net.head], settings), step_timer(size.warmup)
    trainer.train(
        trainer.build(net, data, settings, folder, optimizer=optimizer, callbacks=[timer], section="finetune")
    )
    tokens = tokenizer(rows["text"].tolist(), truncation=True, max_length=size.length)["input_ids"]
    by_batch = [[len(tokens[row]) for _, row in batch] for batch in data.train]
    return training_speed(net.encoder, by_batch, [len(batch) * max(batch) for batch in by_batch], timer)


def shared_changes(size: Size) -> dict[str, Any]:
    """The params of every training: bfloat16, no checkpoint on the way, as many epochs as the steps need."""
    changes = {"precision": "bfloat16", "compile": size.compile, "batch_size": size.rows, "gradient_accumulation": 1}
    return changes | {"epochs": 1000.0, "max_steps": size.steps, "checkpoint_steps": size.steps + 1, "trackers": []}


def log_rows(result: dict[str, Any]) -> list[str]:
    """The table of LOG.md: its head, and a row for each training."""
    lines = [COLUMNS, ("---",) * len(COLUMNS)]
    for name, each in result["trainings"].items():
        share = "–" if each["share_of_peak"] is None else f"{each['share_of_peak']:.1%}"
        cells = (result["device"], name, each["steps"], f"{each['tokens_per_second']:,.0f}", f"{each['tflops']:.3g}")
        lines.append((*map(str, cells), share, f"{each['padding']:.1%}", str(each["memory_gib"]), result["commit"]))
    return [f"| {' | '.join(cells)} |" for cells in lines]


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except UserError as error:
        raise SystemExit(f"error: {error}") from None
