"""The classifier as a torch module: its loss, its dropout, and its files."""

from pathlib import Path

import pytest
import torch

from pipeline.models import network

LABELS = ["account", "delivery", "refund"]
TEXTS = ["hello refund today", "please help locked out of my account since yesterday", "courier"]


def make(tiny_encoder: Path, **settings: float) -> tuple[network.Network, dict[str, torch.Tensor]]:
    torch.manual_seed(1)
    net, tokenizer = network.create(tiny_encoder, LABELS, pooling="mean", max_length=32, **settings)
    return net, dict(tokenizer(TEXTS, padding=True, return_tensors="pt", return_token_type_ids=False))


def test_the_loss_is_the_weighted_mean_of_the_rows_cross_entropies(tiny_encoder: Path) -> None:
    net, batch = make(tiny_encoder)
    targets, weights = torch.eye(3), torch.tensor([1.0, 0.5, 2.0])
    out = net.eval()(**batch, targets=targets, weights=weights)
    rows = -torch.log_softmax(out["logits"], 1).diagonal()
    assert out["loss"].item() == pytest.approx(((rows * weights).sum() / 3.5).item(), rel=1e-5)


def test_a_row_of_weight_0_does_not_change_the_loss(tiny_encoder: Path) -> None:
    net, batch = make(tiny_encoder)
    net.eval()
    weighted = net(**batch, targets=torch.eye(3), weights=torch.tensor([1.0, 1.0, 0.0]))["loss"]
    without = net(**{name: value[:2] for name, value in batch.items()}, targets=torch.eye(3)[:2])["loss"]
    assert weighted.item() == pytest.approx(without.item(), rel=1e-5)


def test_labels_are_smoothed_in_training_but_not_in_evaluation(tiny_encoder: Path) -> None:
    plain, batch = make(tiny_encoder, encoder_dropout=0.0)
    smooth, _ = make(tiny_encoder, encoder_dropout=0.0, label_smoothing=0.3)
    targets = torch.eye(3)
    assert smooth.eval()(**batch, targets=targets)["loss"] == plain.eval()(**batch, targets=targets)["loss"]
    expected = 0.7 * targets + 0.1
    assert smooth.train()(**batch, targets=targets)["loss"].item() == pytest.approx(
        plain.train()(**batch, targets=expected)["loss"].item(), rel=1e-5
    )


def test_a_saved_network_predicts_the_same_after_loading(tiny_encoder: Path, tmp_path: Path) -> None:
    net, batch = make(tiny_encoder)
    _, tokenizer = network.create(tiny_encoder, LABELS, pooling="mean", max_length=32)
    network.save(net, tokenizer, tmp_path)
    loaded, _, about = network.load(tmp_path)
    assert torch.equal(loaded(**batch)["logits"], net.eval()(**batch)["logits"])
    assert about == {"labels": LABELS, "pooling": "mean", "max_length": 32}
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".json", ".safetensors"}


def test_dropout_reaches_every_layer_of_the_encoder(tiny_encoder: Path) -> None:
    net, _ = make(tiny_encoder, encoder_dropout=0.37)
    rates = {module.p for module in net.encoder.modules() if isinstance(module, torch.nn.Dropout)}
    assert rates == {0.37}
