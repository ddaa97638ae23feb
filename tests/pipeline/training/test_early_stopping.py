"""Early stopping: after so many evaluations without gain, and in a resumed training as in an unbroken one."""

from pathlib import Path

import torch

from pipeline.training import trainer
from pipeline.training.batches import TrainingData, evaluation_batches, schedule_batches
from tests.support.tiny_training import Change, Line, collate, tiny_params


class Worse(Line):
    """Its validation loss rises with each step, so that the first evaluation is the best."""

    def forward(self, x: torch.Tensor, targets: torch.Tensor | None = None) -> dict[str, torch.Tensor]:  # type: ignore[override]
        loss = super().forward(x)["loss"]
        return {"loss": loss if self.training else -loss, "logits": x}


def test_a_training_that_had_stopped_early_when_killed_takes_no_further_step(params: Change, tmp_path: Path) -> None:
    def fit(model: torch.nn.Module) -> list[dict[str, float]]:
        settings = tiny_params(params, epochs=9).pretrain
        batches = schedule_batches(list(range(20)), [1] * 20, settings)
        evaluation = evaluation_batches(list(range(20)), [1] * 20)
        data = TrainingData(batches, evaluation, lambda batch: collate(batch) | {"targets": torch.ones(len(batch))})
        folder = tmp_path / "pretrain" / "key"
        return trainer.train(trainer.build(model, data, settings, folder, evaluate_steps=5, patience=2), patience=2)

    stopped, resumed = Worse(), Worse()
    points = fit(stopped)
    assert points[-1]["step"] == 15
    assert fit(resumed) == points
    assert torch.equal(stopped.weight, resumed.weight)
