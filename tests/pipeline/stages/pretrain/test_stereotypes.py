"""The stereotype score: pairs read and checked, and a masked model whose preferences are known by hand."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from pipeline.core.errors import UserError
from pipeline.stages.pretrain import stereotypes
from pipeline.stages.pretrain.stereotypes import Pair

WORDS = ["[UNK]", "[MASK]", "she", "he", "cooks", "drives", "well"]
FILE = Path(__file__).parents[4] / "data" / "identity_terms" / stereotypes.FILE


def tokenizer() -> Any:
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, mask_token="[MASK]", unk_token="[UNK]")


class Leaning(torch.nn.Module):
    """Beside "she" it expects "cooks", beside "he" "drives", by so much; it never looks at the hidden token."""

    def __init__(self, lean: float) -> None:
        super().__init__()
        self.lean = torch.nn.Parameter(torch.tensor(lean))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        logits = torch.zeros(*input_ids.shape, len(WORDS))
        for who, what in (("she", "cooks"), ("he", "drives")):
            there = (input_ids == WORDS.index(who)).any(dim=1).float()
            logits[:, :, WORDS.index(what)] += (self.lean * there)[:, None]
        return SimpleNamespace(logits=logits)


PAIRS = [
    Pair("en", "gender", "she cooks well", "he cooks well"),
    Pair("en", "gender", "he drives well", "she drives well"),
    Pair("zh", "gender", "她做饭", "他做饭"),
]


@pytest.mark.parametrize(("lean", "score"), [(2.0, 1.0), (-2.0, 0.0), (0.0, 0.5)])
def test_the_score_follows_what_the_model_leans_to(lean: float, score: float) -> None:
    found = stereotypes.measure(Leaning(lean), tokenizer(), PAIRS, "en")
    assert (found["pairs"], found["score"], found["axis"]["gender"]["score"]) == (2, score, score)
    assert found["score_low"] < found["score_high"]


def test_the_likelihood_is_that_of_the_shared_tokens() -> None:
    ids = tokenizer()("she cooks well")["input_ids"]
    found = stereotypes.likelihood(Leaning(2.0), tokenizer(), ids, [1, 2])
    others = torch.tensor([0.0] * 6 + [2.0]).logsumexp(0)
    assert found == pytest.approx(float((2 - others) + (0 - others)), abs=1e-5)


def test_without_pairs_in_the_language_there_is_no_score() -> None:
    found = stereotypes.measure(Leaning(1.0), tokenizer(), PAIRS[:2], "zh")
    assert found == {"score": None, "reason": "no pairs in zh, the language of the corpus"}


def test_the_language_is_that_of_most_letters() -> None:
    assert stereotypes.language(["这个产品很好 good", "不错"]) == "zh"
    assert stereotypes.language(["a good one 好"]) == "en"


def test_the_pairs_of_the_project_differ_in_a_few_words_and_are_in_both_languages() -> None:
    pairs = stereotypes.read(FILE)
    assert {pair.language for pair in pairs} == {"en", "zh"}
    assert len({(pair.more, pair.less) for pair in pairs}) == len(pairs) >= 60
    for pair in (pair for pair in pairs if pair.language == "en"):
        one, other = set(pair.more.lower().split()), set(pair.less.lower().split())
        assert len(one ^ other) <= 6, pair


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("language,axis,more\n", r"pairs\.csv:1: expected the columns language, axis, more, less"),
        ("language,axis,more,less\nen,gender,same,same\n", r"pairs\.csv:2: expected two different sentences"),
        ("language,axis,more,less\nen,gender,one\n", r"pairs\.csv:2: expected two different sentences"),
    ],
)
def test_a_faulty_pair_is_named_with_its_line(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "pairs.csv").write_text(content)
    with pytest.raises(UserError, match=message):
        stereotypes.read(tmp_path / "pairs.csv")
    with pytest.raises(UserError, match="found no such file"):
        stereotypes.read(tmp_path / "gone.csv")
