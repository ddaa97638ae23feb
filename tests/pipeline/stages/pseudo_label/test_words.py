"""The view of the words: what it learns, that the student's network says the same, and what the mixture is worth."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pipeline.core.params import Params, PseudoLabel
from pipeline.core.stage import write_json
from pipeline.models import classifier, network
from pipeline.models import encoder as encoders
from pipeline.stages import export
from pipeline.stages.pseudo_label import words
from pipeline.stages.pseudo_label.probe import Probe
from pipeline.stages.pseudo_label.run import word_features, write_head
from pipeline.stages.pseudo_label.teacher import Teacher, Texts
from tests.conftest import TOPICS
from tests.support.pseudo_texts import BELIEF, COMMON, OWN, talk, toy

LABELS = sorted(TOPICS)
LONG = "please help refund refund tracking number " * 12  # several times what the encoder reads
UNKNOWN = "\u2603 \u2603"  # no token of it is in any other text


@pytest.fixture
def own(params: Callable[..., Params]) -> PseudoLabel:
    return params().pseudo_label


def spoken(labels: np.ndarray, classes: int, seed: int = 0) -> tuple[Any, np.ndarray]:
    """Features of made-up texts, a row for each label, and the words' inverse frequencies."""
    tokens = talk(labels, 0.3, seed)
    idf = words.inverse_frequency(tokens, COMMON + OWN * classes, [])
    return words.features(tokens, idf), idf


@pytest.mark.parametrize("model", ["bayes", "regression"])
def test_words_that_only_one_class_uses_are_learned(model: str) -> None:
    labels = np.repeat([0, 1, 2], 60)
    rows, _ = spoken(np.tile(labels, 2), 3)
    known = (rows[:180], labels, np.ones(180), 3)
    learned = words.bayes(*known, smoothing=0.1) if model == "bayes" else words.regression(*known, c=1.0)
    assert (learned.logits(rows[180:]).argmax(axis=1) == labels).mean() > 0.9


def test_a_row_of_weight_0_teaches_nothing() -> None:
    labels = np.repeat([0, 1], 30)
    rows, _ = spoken(labels, 2)
    doubt = np.tile([1.0, 0.0], 30)
    for learned, alone in (
        (words.bayes(rows, labels, doubt, 2, 0.1), words.bayes(rows[::2], labels[::2], np.ones(30), 2, 0.1)),
        (words.regression(rows, labels, doubt, 2, 1.0), words.regression(rows[::2], labels[::2], np.ones(30), 2, 1.0)),
    ):
        assert np.abs(learned.logits(rows) - alone.logits(rows)).max() < 0.02


def test_a_class_of_no_text_is_never_named() -> None:
    labels = np.repeat([0, 2], 30)
    rows, _ = spoken(labels, 3)
    for learned in (
        words.regression(rows, labels, np.ones(60), 3, 1.0),
        words.bayes(rows, labels, np.ones(60), 3, 0.1),
    ):
        assert set(learned.logits(rows).argmax(axis=1)) == {0, 2}


def test_a_class_whose_rows_all_weigh_nothing_is_never_named() -> None:
    """A name of a class that is not heard stays among the rows; a text that nobody knows must not go to its class."""
    labels = np.repeat([0, 1, 2], 30)
    rows, _ = spoken(labels, 3)
    weights = np.where(labels == 1, 0.0, 1.0)
    for learned in (words.regression(rows, labels, weights, 3, 1.0), words.bayes(rows, labels, weights, 3, 0.1)):
        assert set(learned.logits(rows).argmax(axis=1)) == {0, 2}
        assert learned.logits(rows[:1] * 0).argmax() != 1


def test_features_have_unit_length_and_ignore_special_and_rare_tokens() -> None:
    tokens = [[1, 5, 6, 6, 2], [1, 5, 7, 2], [1, 6, 9, 2], [1, 8, 2]]
    idf = words.inverse_frequency(tokens, 12, special=[1, 2])
    assert np.flatnonzero(idf).tolist() == [5, 6]  # 7, 8 and 9 are in one text each, 10 and 11 in none
    rows = words.features(tokens, idf).toarray()
    assert np.allclose(np.linalg.norm(rows, axis=1), [1, 1, 1, 0])
    assert rows.shape == (4, 2)  # a column for each token that counts
    assert np.allclose(rows[0], np.sqrt(0.5))  # both are in two texts; that one stands twice does not count
    more = words.inverse_frequency([*tokens, [6], [6]], 12, special=[1, 2])
    assert more[5] > more[6]


Shipped = tuple[Teacher, network.Network, Any, np.ndarray]


@pytest.fixture
def shipped(tiny_encoder: Path, pairs: list[tuple[str, str]], tmp_path: Path, params: Callable[..., Params]) -> Shipped:
    """A teacher of both views, the network that took over its heads, the tokenizer and the words' frequencies."""
    net, tokenizer = network.create(tiny_encoder, LABELS, pooling="mean", max_length=32)
    idf, rows = word_features([text for text, _ in pairs], 0, tiny_encoder, params().encoder)
    known = (rows, np.array([LABELS.index(label) for _, label in pairs]), np.ones(len(pairs)), 3)
    bayes, regression = words.bayes(*known, smoothing=0.1), words.regression(*known, c=10.0)
    both = words.Words(bayes.table + regression.table, bayes.bias + regression.bias)
    weight = np.random.default_rng(0).normal(size=(3, 32)).astype(np.float32)
    teacher = Teacher(Probe(weight, np.array([0.1, -0.2, 0.3], np.float32)), both, part=0.7)
    write_head(teacher, idf, tmp_path / "head.safetensors")
    net.load_heads(load_file(tmp_path / "head.safetensors"))
    return teacher, net.eval(), tokenizer, idf


def asked(pairs: list[tuple[str, str]]) -> list[str]:
    """Texts of many lengths: repeated words, one too long to be read whole, one of unknown words only."""
    texts = [text for text, _ in pairs[::9]]
    return [*texts, "refund refund refund courier refund", "refund", LONG, UNKNOWN, f"{texts[0]} {texts[1]} {texts[2]}"]


def by_hand(teacher: Teacher, net: network.Network, tokenizer: Any, idf: np.ndarray, texts: list[str]) -> np.ndarray:
    """The teacher's logits: vectors of each text alone, without padding, and words as numpy sees them."""
    tokens = tokenizer(texts, truncation=True, max_length=32)["input_ids"]
    vectors = []
    with torch.inference_mode():
        for ids in tokens:
            one, mask = torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long)
            hidden = net.encoder(input_ids=one, attention_mask=mask).last_hidden_state
            vectors.append(encoders.pool(hidden, mask, "mean").numpy())
    return teacher.logits(Texts(np.concatenate(vectors), words.features(tokens, idf)))


def batched(net: network.Network, tokenizer: Any, texts: list[str]) -> np.ndarray:
    """The network's logits of all texts in one padded batch."""
    inputs = tokenizer(texts, padding=True, truncation=True, max_length=32, return_tensors="pt")
    with torch.inference_mode():
        return np.asarray(net(inputs["input_ids"], inputs["attention_mask"])["logits"].numpy())


def test_the_network_says_what_the_teacher_said(shipped: Shipped, pairs: list[tuple[str, str]]) -> None:
    teacher, net, tokenizer, idf = shipped
    texts = asked(pairs)
    assert len({len(ids) for ids in tokenizer(texts, truncation=True, max_length=32)["input_ids"]}) > 4
    assert np.abs(batched(net, tokenizer, texts) - by_hand(teacher, net, tokenizer, idf, texts)).max() < 1e-4


def test_a_text_without_a_known_word_is_left_to_its_vector(shipped: Shipped) -> None:
    _, net, tokenizer, _ = shipped
    assert net.words is not None
    inputs = tokenizer([UNKNOWN, "hello refund"], padding=True, return_tensors="pt")
    said = net.words(inputs["input_ids"], inputs["attention_mask"])
    assert torch.equal(said[0], torch.zeros(3))
    assert said[1].abs().min() > 0
    assert torch.isfinite(net(inputs["input_ids"], inputs["attention_mask"])["logits"]).all()


def test_a_saved_network_keeps_its_words_and_training_leaves_them_alone(shipped: Shipped, tmp_path: Path) -> None:
    _, net, tokenizer, _ = shipped
    assert not [name for name, _ in net.named_parameters() if name.startswith("words")]
    network.save(net, tokenizer, tmp_path / "model")
    loaded, _, _ = network.load(tmp_path / "model")
    texts = ["hello refund today", "courier"]
    assert np.array_equal(batched(loaded, tokenizer, texts), batched(net, tokenizer, texts))


def exported(shipped: Shipped, folder: Path) -> Path:
    """The network as an unsealed bundle of both precisions."""
    _, net, tokenizer, _ = shipped
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    export.to_onnx(net, folder / "model.onnx")
    export.quantise(folder / "model.onnx", folder / "model.int8.onnx")
    about = {"labels": LABELS, "temperature": 1.0, "pad_id": tokenizer.pad_token_id, "max_length": 32}
    write_json(about | {"serve": "float32"}, folder / "classifier.json")
    return folder


@pytest.mark.slow
def test_onnx_agrees_with_torch_on_padded_batches_and_int8_nearly(
    shipped: Shipped, pairs: list[tuple[str, str]], tmp_path: Path
) -> None:
    _, net, tokenizer, _ = shipped
    bundle = exported(shipped, tmp_path)
    texts = asked(pairs)
    expected = batched(net, tokenizer, texts)
    exact = classifier.read(bundle, "float32")
    assert np.abs(exact.batch_logits(exact.tokens(texts)) - expected).max() < 1e-4
    assert np.abs(exact.logits(texts, batch_size=3) - expected).max() < 1e-4
    every = [text for text, _ in pairs]
    same = classifier.read(bundle, "int8").logits(every).argmax(axis=1) == exact.logits(every).argmax(axis=1)
    assert same.mean() > 0.95


@pytest.mark.slow
def test_words_lift_what_vectors_carry_little_of(own: PseudoLabel) -> None:
    blind = own.model_copy(update={"words": own.words.model_copy(update={"mix_weights": []})})
    found = []
    for draw in range(3):
        task = toy([4] * 4, [200] * 4, spread=2.0, signal=0.4, draw=draw)
        rounds = task.rounds(own, task.judge(own).belief)
        last = task.rounds(blind, task.judge(blind).belief)[-1]
        found.append([task.accuracy(one.teacher) for one in (rounds[0], rounds[-1], last)])
    start, both, vectors = np.mean(found, axis=0)
    assert both > start + 0.2
    assert both > vectors + 0.1


@pytest.mark.slow
def test_words_of_pure_noise_are_left_out_and_the_vectors_gain_as_if_there_were_none(own: PseudoLabel) -> None:
    """What the stage would keep, for held-out labels decide on the round as well as on the part."""
    gained = []
    for draw in range(3):
        task = toy([4] * 8, [100] * 8, spread=0.9, signal=0.0, draw=draw)
        judged = task.judge(own)
        rounds = task.rounds(own, judged.belief)
        assert judged.belief.part == 0
        gained.append(task.accuracy(rounds[judged.best].teacher) - task.accuracy(rounds[0].teacher))
    assert np.mean(gained) > 0.03


def test_the_first_teacher_hears_words_as_far_as_they_help_it(own: PseudoLabel) -> None:
    """Vectors that say next to nothing leave it to the words; words of pure noise are not asked."""
    told, noise = (
        [toy([24] * 4, [100] * 4, spread=spread, signal=signal, draw=draw) for draw in range(3)]
        for spread, signal in ((4.0, 0.5), (0.6, 0.0))
    )
    parts = [task.judge(own).belief.first_part for task in told]
    assert min(parts) > 0.3
    assert max(task.judge(own).belief.first_part for task in noise) < 0.1
    better = []
    for task, part in zip(told, parts, strict=True):
        blind, hearing = (task.rounds(own, replace(BELIEF, first_part=heard))[0].teacher for heard in (0.0, part))
        better.append(task.accuracy(hearing) - task.accuracy(blind))
    assert np.mean(better) > 0.1


def test_round_0_listens_to_vectors_alone_unless_told_otherwise_and_all_do_without_parts(own: PseudoLabel) -> None:
    task = toy([3] * 2, [30] * 2, spread=0.5, signal=0.3)
    silent = own.model_copy(update={"words": own.words.model_copy(update={"mix_weights": []})})
    belief = task.judge(silent).belief
    assert task.rounds(own, BELIEF)[0].teacher.words is None
    assert belief.part == 0
    assert all(one.teacher.words is None for one in task.rounds(silent, belief))
