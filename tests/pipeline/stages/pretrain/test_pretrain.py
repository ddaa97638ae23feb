"""Pretraining on real files with a tiny encoder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.core.stage import Paths
from pipeline.models import encoder as encoders
from pipeline.stages.pretrain import new_encoder, objectives
from pipeline.stages.pretrain.run import run as stage
from pipeline.training import mlm_masking

ROOT = Path(__file__).parents[4]
Change = Callable[..., Params]
Rows = Callable[..., pd.DataFrame]
QUICK = {"epochs": 4, "lr": 5e-3, "batch_size": 16}
CHINESE = [f"这个产品{word}，{end}" for word in ("很好", "不错", "太差") for end in ("值得买", "不推荐", "会再来")]


@pytest.fixture
def project(tmp_path: Path, rows: Rows, pairs: list[tuple[str, str]]) -> Paths:
    paths = Paths(tmp_path)
    table.write(rows(pairs[:20]), paths.data("ingest") / "train.parquet")
    pool = [(text, None) for text, _ in pairs[20:]]
    table.write(rows(pool, "unlabelled"), paths.data("ingest") / "unlabelled.parquet")
    (tmp_path / "data" / "identity_terms").symlink_to(ROOT / "data" / "identity_terms")
    return paths


def run(paths: Paths, params: Params) -> dict[str, Any]:
    return stage(params.pretrain, params.encoder, paths)


def test_none_copies_the_encoder_with_the_digest_that_params_pin(project: Paths, params: Change) -> None:
    metrics = run(project, params({"pretrain": {"objective": "none"}}))
    source, target = Path(params().encoder.name), project.data("pretrain") / "encoder"
    assert encoders.weights_digest(target) == encoders.weights_digest(source)
    assert (target / "tokenizer.json").read_bytes() == (source / "tokenizer.json").read_bytes()
    assert metrics["steps"] == 0


@pytest.mark.parametrize("objective", ["mlm", "simcse"])
def test_training_lowers_the_loss_on_held_out_texts(project: Paths, params: Change, objective: str) -> None:
    metrics = run(project, params({"pretrain": QUICK | {"objective": objective}}))
    assert metrics["rows"] == 120 and metrics["held_out_rows"] == 6 and metrics["steps"] == 32
    assert metrics["held_out_loss_after"] < metrics["held_out_loss_before"]
    target = project.data("pretrain") / "encoder"
    model, tokenizer = encoders.load(target)
    assert type(model).__name__ == "BertModel" and tokenizer("refund")["input_ids"]
    old = load_file(Path(params().encoder.name) / "model.safetensors")
    new = load_file(target / "model.safetensors")
    assert set(new) <= set(old) and any(not new[name].equal(old[name]) for name in new)


@pytest.mark.slow
def test_two_runs_give_the_same_encoder(project: Paths, params: Change) -> None:
    settings = params({"pretrain": QUICK | {"objective": "mlm", "epochs": 1, "from_scratch": True}})
    first = run(project, settings), encoders.weights_digest(project.data("pretrain") / "encoder")
    assert (run(project, settings), encoders.weights_digest(project.data("pretrain") / "encoder")) == first


def test_from_scratch_makes_an_encoder_of_the_size_that_params_say(project: Paths, params: Change) -> None:
    size = {"vocabulary": 400, "hidden": 24, "layers": 1, "heads": 2}
    run(project, params({"pretrain": QUICK | {"objective": "simcse", "from_scratch": True, "scratch": size}}))
    target = project.data("pretrain") / "encoder"
    model, tokenizer = AutoModel.from_pretrained(target), AutoTokenizer.from_pretrained(target)
    assert (model.config.hidden_size, model.config.num_hidden_layers) == (24, 1)
    assert len(tokenizer) == model.config.vocab_size <= 400
    assert tokenizer.decode(tokenizer("Please REFUND")["input_ids"]) == "[CLS]please refund[SEP]"


def test_a_new_tokenizer_reads_characters_that_its_corpus_lacks(params: Change, tmp_path: Path) -> None:
    new_encoder.train_tokenizer(CHINESE, params().pretrain.scratch, 32).save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert len(tokenizer.tokenize("这个产品")) == 1, "a frequent phrase is not one token"
    assert len(tokenizer.tokenize("这个产品不错，值得买")) > 3, "a rare phrase is one token"
    ids = tokenizer("新 zebra 🦓", add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == "新 zebra 🦓" and tokenizer.unk_token_id not in ids


@pytest.mark.parametrize("word", ["ที่นี่", "コーヒー", "किताब", "refund", "don"])
def test_frequent_words_of_any_script_become_pieces(params: Change, word: str) -> None:
    texts = ["ที่นี่ดีมาก ที่นี่ไม่ดี", "コーヒー。コーヒーがまずい", "यह किताब अच्छी है", "a refund, don't refund it"]
    tokenizer = new_encoder.train_tokenizer(texts * 4 + [word] * 8, params().pretrain.scratch, 64)
    assert tokenizer.decode(tokenizer(word, add_special_tokens=False)["input_ids"]) == word
    assert len(tokenizer.tokenize(word)) == 1


def test_no_piece_holds_a_phrase_of_hardly_any_text(params: Change) -> None:
    private = "张三住在北京市朝阳区某某路十二号"
    tokenizer = new_encoder.train_tokenizer([*CHINESE * 5, *[private] * 4], params().pretrain.scratch, 64)
    pieces = [tokenizer.decode([piece]) for piece in range(len(tokenizer))]
    assert max(len(set(piece) & set(private)) for piece in pieces) == 1  # 某 is there eight times


def word_piece(folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(folder)


def byte_pairs(folder: Path) -> Any:
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaTokenizerFast

    words = ByteLevelBPETokenizer(add_prefix_space=True)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    words.train_from_iterator(["the refund of refunds"] * 3, vocab_size=280, special_tokens=special)
    return RobertaTokenizerFast(tokenizer_object=words._tokenizer)


def sentence_piece(folder: Path) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    scores = [
        ("[UNK]", 0.0),
        ("[MASK]", 0.0),
        ("▁", -2.0),
        ("产品", -3.0),
        ("很", -3.0),
        ("好", -3.0),
        ("▁goods", -3.0),
    ]
    pieces = Tokenizer(models.Unigram(scores, 0))
    pieces.pre_tokenizer, pieces.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=pieces, unk_token="[UNK]", mask_token="[MASK]")


def chinese(folder: Path) -> Any:
    from pipeline.core.params import Scratch

    return new_encoder.train_tokenizer(CHINESE, Scratch(vocabulary=300, hidden=8, layers=1, heads=1), 64)


@pytest.mark.parametrize(
    ("make", "text", "count"),
    [
        (word_piece, "unbelievable refunds packages", 3),
        (byte_pairs, "unbelievable refunds", 2),
        (chinese, "这个产品太差", 3),  # 这个产品 is one piece, 太 and 差 are three bytes each
        (sentence_piece, "产品很好 goods", 4),  # 产品 with the space before it, 很, 好, goods
    ],
)
def test_whole_words_are_masked_and_chinese_is_masked_by_piece(
    tiny_encoder: Path, make: Callable[[Path], Any], text: str, count: int
) -> None:
    tokenizer = make(tiny_encoder)
    [ids], [words] = objectives.tokenise([text], tokenizer, 64)
    drawn = []
    for seed in range(200):
        hidden, targets = mlm_masking.mask_words(ids, words, tokenizer, 0.3, np.random.default_rng(seed))
        masked = {word for word, target in zip(words, targets, strict=True) if target != mlm_masking.IGNORED}
        assert None not in masked, "a special token was masked"
        by_word = [target != mlm_masking.IGNORED for target in targets]
        assert by_word == [word in masked for word in words], "a word was masked in part"
        assert all(new == old for new, old, hit in zip(hidden, ids, by_word, strict=True) if not hit)
        drawn.append(len(masked))
    assert len({word for word in words if word is not None}) == count
    assert np.mean(drawn) / count < 0.55


def test_too_few_texts_are_refused(project: Paths, params: Change, rows: Rows) -> None:
    table.write(rows([("hello", "refund")]), project.data("ingest") / "train.parquet")
    table.write(rows([], "unlabelled"), project.data("ingest") / "unlabelled.parquet")
    with pytest.raises(UserError, match="expected at least 4 distinct texts to train on, found 1"):
        run(project, params({"pretrain": {"objective": "mlm"}}))
