"""Adapters and low-rank changes in tiny random encoders of several architectures."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.core.errors import UserError
from pipeline.models import adapters
from pipeline.stages.finetune import low_rank
from tests.support.finetuning import Change, finetune_params

ARCHITECTURES = ("bert", "roberta", "distilbert", "modernbert", "electra", "albert", "mpnet", "deberta-v2")


def random_encoder(architecture: str) -> Any:
    from transformers import AutoConfig, AutoModel

    sizes = {"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "pad_token_id": 1}
    if architecture == "distilbert":
        sizes = {"vocab_size": 40, "dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 4, "pad_token_id": 1}
    elif architecture == "modernbert":
        sizes |= {"local_attention": 8, "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
    sizes |= {} if architecture == "distilbert" else {"intermediate_size": 64}
    torch.manual_seed(0)
    return AutoModel.from_config(AutoConfig.for_model(architecture, **sizes), attn_implementation="eager").eval()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("kind", adapters.KINDS)
def test_adapters_fit_the_architecture_or_are_refused(architecture: str, kind: str, tmp_path: Path) -> None:
    encoder = random_encoder(architecture)
    if kind == "prefix" and architecture in (
        "mpnet",
        "deberta-v2",
    ):  # they do not use the attention interface of transformers
        with pytest.raises(UserError, match=rf"finetune\.method: expected .* prefix adapters, found {architecture}"):
            adapters.install(encoder, kind, 3)
        return
    ids = torch.randint(5, 40, (3, 7))
    mask = torch.tensor([[1] * 4 + [0] * 3, [1] * 7, [1] * 7])
    adapters.install(encoder, kind, 3)
    with torch.no_grad():
        for _, weight in adapters.adapter_weights(encoder):
            weight.add_(torch.randn_like(weight))
        states = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        unpadded = encoder(input_ids=ids[:1, :4], attention_mask=mask[:1, :4]).last_hidden_state
        plain = random_encoder(architecture)(input_ids=ids, attention_mask=mask).last_hidden_state
        assert (states - plain)[1].abs().max() > 1e-3
        assert torch.allclose(states[:1, :4], unpadded, atol=1e-5), "padding matters"
        adapters.save(encoder, tmp_path / "encoder", tmp_path / "adapters.safetensors")
        reloaded = type(encoder).from_pretrained(tmp_path / "encoder", attn_implementation="eager").eval()
        assert torch.allclose(reloaded(input_ids=ids, attention_mask=mask).last_hidden_state, plain, atol=1e-6)
        adapters.load(reloaded, kind, 3, tmp_path / "adapters.safetensors")
        assert torch.equal(reloaded(input_ids=ids, attention_mask=mask).last_hidden_state, states)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_low_rank_changes_find_their_layers_in_every_architecture(architecture: str, params: Change) -> None:
    targets = {name.split(".")[-1] for name in low_rank.target_modules(random_encoder(architecture))}
    if architecture in ("bert", "roberta", "electra"):
        assert targets == {"query", "value"}
    settings = finetune_params(params, method="lora").finetune
    wrapped = low_rank.add_low_rank(random_encoder(architecture), settings, steps=10)
    wrapped(input_ids=torch.full((1, 4), 7), attention_mask=torch.ones(1, 4)).last_hidden_state.sum().backward()
    trainable = [name for name, weight in wrapped.named_parameters() if weight.requires_grad]
    assert trainable and all("lora_" in name for name in trainable)
    assert all(weight.grad is not None for weight in wrapped.parameters() if weight.requires_grad)
