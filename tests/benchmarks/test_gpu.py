"""The benchmark of trainings on a GPU: small on a CPU here, and how it counts operations."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmarks import gpu, training_speed
from pipeline.core.params import Params

Change = Callable[..., Params]


@pytest.mark.slow
@pytest.mark.weekly
def test_all_trainings_run_small_on_a_cpu(params: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "has_gpu", lambda: False)
    result = gpu.measure(params(), gpu.demo_rows(), gpu.SMALL, gpu.PEAK)
    assert len(result["trainings"]) == 4
    for each in result["trainings"].values():
        assert each["steps"] == gpu.SMALL.steps - gpu.SMALL.warmup
        assert each["tokens_per_second"] > 0 and each["tflops"] >= 0 and 0 <= each["padding"] < 1
        assert each["share_of_peak"] is None  # of a GPU
    assert json.loads(json.dumps(result)) == result
    head, _, *rows = gpu.log_rows(result)
    assert len(rows) == 4 and {row.count("|") for row in [head, *rows]} == {len(gpu.COLUMNS) + 1}


def test_without_a_gpu_only_the_small_version_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "has_gpu", lambda: False)
    assert gpu.main([]) == 2
    assert "expected a GPU, found none; --small" in capsys.readouterr().err


def test_steps_that_end_before_the_clock_starts_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        gpu.main(["--small", "--steps", "1"])
    assert "expected more than the 1 before the clock starts" in capsys.readouterr().err


def test_the_operations_of_bert_base_are_those_that_torch_counts() -> None:
    """On whole rows torch's own counter of a forward and backward pass agrees; it counts the same products."""
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=512, hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=256
    )
    model = BertForMaskedLM._from_config(config, attn_implementation="eager")
    ids = torch.randint(0, 512, (3, 40))
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=ids).loss.backward()
    assert training_speed.step_operations(model, [40] * 3) == pytest.approx(counter.get_total_flops(), rel=0.01)


def test_bert_base_has_the_weights_that_its_operations_are_counted_with() -> None:
    """85 million in the encoder; 24 million in the head over the vocabulary, which each token passes, too."""
    from transformers import BertConfig, BertForMaskedLM

    with torch.device("meta"):
        model = BertForMaskedLM(BertConfig())
    assert training_speed.matrix_weights(model) == 12 * 12 * 768**2 + 768**2 + 768 * 30522


def test_padding_and_the_steps_of_the_warm_up_count_as_no_work() -> None:
    config: Any = SimpleNamespace(num_hidden_layers=0, hidden_size=1)
    model: Any = torch.nn.Linear(1, 1)
    model.config = config
    timer = SimpleNamespace(warmup=1, seconds=2.0)
    speed = training_speed.training_speed(model, [[9], [3, 1], [2]], [9, 8, 4], timer)
    assert (speed.steps, speed.tokens_per_second, speed.padding) == (2, 3.0, 0.5)


def test_the_share_of_the_peak_is_that_of_the_card_that_was_named(
    params: Change, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    speed = training_speed.Speed(steps=40, tokens_per_second=5e5, tflops=395.0, padding=0.0, memory_gib=60.0)
    monkeypatch.setattr(gpu, "pretraining", lambda *_, **__: speed)
    monkeypatch.setattr(gpu, "finetuning", lambda *_, **__: speed)
    monkeypatch.setattr(gpu, "has_gpu", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a card")
    result = gpu.measure(params(), gpu.demo_rows(), gpu.FULL, peak_tflops=790.0)
    assert {each["share_of_peak"] for each in result["trainings"].values()} == {0.5}
    assert "| a card | fine-tuning | 40 | 500,000 | 395 | 50.0% | 0.0% | 60.0 |" in "\n".join(gpu.log_rows(result))
