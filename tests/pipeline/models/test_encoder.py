"""Encoders of any architecture: found, checked, loaded, pooled, fine-tuned and pretrained."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.models import encoder as encoders
from pipeline.models import network
from pipeline.stages.pretrain.run import prepare_model
from pipeline.training.batches import model_inputs

SIZE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 66,
    "vocab_size": 120,
    "initializer_range": 0.2,
}
DISTIL = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64} | {
    name: SIZE[name] for name in ("max_position_embeddings", "vocab_size", "initializer_range")
}
# (config class, its sizes, id of the padding token)
ARCHITECTURES = {
    "bert": ("BertConfig", SIZE, 0),
    "roberta": ("RobertaConfig", SIZE, 1),
    "xlm-roberta": ("XLMRobertaConfig", SIZE, 1),
    "distilbert": ("DistilBertConfig", DISTIL, 0),
    "modernbert": ("ModernBertConfig", SIZE | {"global_attn_every_n_layers": 2}, 3),
    "electra": ("ElectraConfig", SIZE | {"embedding_size": 16}, 0),
    "albert": ("AlbertConfig", SIZE | {"embedding_size": 16}, 0),
    "mpnet": ("MPNetConfig", SIZE, 1),
    "deberta-v2": ("DebertaV2Config", SIZE, 0),
}
TEXTS = ["refund", "please help with my refund today thanks", "what now"]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random-weight encoder of each architecture, its tokenizer padding with the id that its config names."""
    import transformers

    kind, size, pad = ARCHITECTURES[request.param]
    words = sorted({word for text in TEXTS for word in text.split()})
    special = ["[CLS]", "[SEP]", "[MASK]"]
    special.insert(pad, "[PAD]")
    vocabulary = {word: i for i, word in enumerate([*special, "[UNK]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [(name, vocabulary[name]) for name in ("[SEP]", "[CLS]")]
    tokenizer.post_processor = processors.BertProcessing(*ends)
    folder = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    ids = {"pad_token_id": pad, "cls_token_id": ends[1][1], "bos_token_id": ends[1][1]}
    config = getattr(transformers, kind)(**size, **ids, sep_token_id=ends[0][1], eos_token_id=ends[0][1])
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    return folder


def batch(texts: list[str], tokenizer: Any) -> dict[str, torch.Tensor]:
    return model_inputs(tokenizer(texts)["input_ids"], tokenizer.pad_token_id)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_padding_changes_no_texts_vector(folder: Path, pooling: str) -> None:
    model, tokenizer = encoders.load(folder)
    model.eval()

    def vectors(texts: list[str]) -> torch.Tensor:
        inputs = batch(texts, tokenizer)
        with torch.no_grad():
            return encoders.pool(model(**inputs).last_hidden_state, inputs["attention_mask"], pooling)

    together = vectors(TEXTS)
    singly = torch.cat([vectors([text]) for text in TEXTS])
    assert torch.allclose(together, singly, atol=1e-5)
    assert torch.allclose(together.norm(dim=1), torch.ones(3), atol=1e-5)
    assert not torch.allclose(together[0], together[1], atol=1e-3)


def test_an_encoder_reads_as_many_tokens_as_it_has_positions_and_more_are_refused(
    folder: Path, params: Callable[..., Params]
) -> None:
    limit = encoders.max_tokens(folder)
    assert limit is not None
    model, tokenizer = encoders.load(folder)
    inputs = batch([" ".join(["refund"] * limit)], tokenizer)
    with torch.no_grad():
        model(**{name: values[:, :limit] for name, values in inputs.items()})
    encoders.locate(params({"encoder": {"name": str(folder), "max_length": limit}}).encoder)
    with pytest.raises(UserError, match=f"encoder.max_length: expected at most {limit}, .* found {limit + 1}; lower"):
        encoders.locate(params({"encoder": {"name": str(folder), "max_length": limit + 1}}).encoder)


def test_a_network_over_an_encoder_learns_and_is_the_same_after_loading(folder: Path, tmp_path: Path) -> None:
    net, tokenizer = network.create(folder, ["a", "b", "c"], pooling="mean", max_length=32, encoder_dropout=0.1)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    losses = []
    for _ in range(8):
        loss = net.train()(**batch(TEXTS, tokenizer), targets=torch.eye(3))["loss"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    network.save(net, tokenizer, tmp_path)
    loaded, tokenizer, _ = network.load(tmp_path)
    with torch.no_grad():
        expected, actual = (n.eval()(**batch(TEXTS, tokenizer))["logits"] for n in (net, loaded))
    assert torch.equal(expected, actual)


@pytest.mark.parametrize("objective", ["mlm", "simcse"])
def test_an_encoder_can_be_pretrained(folder: Path, params: Callable[..., Params], objective: str) -> None:
    from pipeline.stages.pretrain import objectives

    changed = params({"pretrain": {"objective": objective}})
    model, tokenizer = prepare_model(TEXTS, folder, changed.pretrain, changed.encoder)
    rows, words = objectives.tokenise(TEXTS, tokenizer, 32)
    collate = objectives.make_collator(rows, words, tokenizer, changed.pretrain, 32)
    loss = model.train()(**collate([(i, i) for i in range(3)]))["loss"]
    loss.backward()
    assert loss.item() > 0 and any(weight.grad is not None for weight in objectives.base_encoder(model).parameters())


def test_weights_with_another_digest_than_params_pin_are_refused(
    tiny_encoder: Path, params: Callable[..., Params]
) -> None:
    right = encoders.weights_digest(tiny_encoder)
    assert encoders.locate(params({"encoder": {"sha256": right}}).encoder) == tiny_encoder
    wrong = params({"encoder": {"sha256": "0" * 64}}).encoder
    with pytest.raises(UserError, match=f"encoder.sha256: expected weights with 000000000000…, found {right[:12]}…"):
        encoders.locate(wrong)


def test_pickled_weights_are_never_loaded(tiny_encoder: Path, tmp_path: Path, params: Callable[..., Params]) -> None:
    (tmp_path / "config.json").write_bytes((tiny_encoder / "config.json").read_bytes())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"expected config.json and \*.safetensors .* found none"):
        encoders.locate(params({"encoder": {"name": str(tmp_path)}}).encoder)


def test_a_package_that_is_not_installed_is_named(params: Callable[..., Params]) -> None:
    missing = params({"encoder": {"source": "package", "name": "no_such_encoder"}}).encoder
    with pytest.raises(UserError, match='expected an installed package, found no "no_such_encoder"'):
        encoders.locate(missing)


def test_a_hub_encoder_that_is_not_in_the_cache_is_one_line_offline(
    params: Callable[..., Params], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    hub = params({"encoder": {"source": "hub", "name": "nobody/nothing", "revision": "abc"}}).encoder
    with pytest.raises(UserError, match="expected nobody/nothing at abc on the hub or in its cache"):
        encoders.locate(hub)
