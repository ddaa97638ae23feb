"""The stereotype score: pairs are read and checked, and a model of known preferences gets its known score."""

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
    """Expects "cooks" beside "she" and "drives" beside "he", with ``lean`` as the logit."""

    def __init__(self, lean: float) -> None:
        super().__init__()
        self.lean = torch.nn.Parameter(torch.tensor(lean))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        logits = torch.zeros(*input_ids.shape, len(WORDS))
        for pronoun, verb in (("she", "cooks"), ("he", "drives")):
            present = (input_ids == WORDS.index(pronoun)).any(dim=1).float()
            logits[:, :, WORDS.index(verb)] += (self.lean * present)[:, None]
        return SimpleNamespace(logits=logits)


PAIRS = [
    Pair("en", "gender", "she cooks well", "he cooks well"),
    Pair("en", "gender", "he drives well", "she drives well"),
    Pair("zh", "gender", "她做饭", "他做饭"),
]


@pytest.mark.parametrize(("lean", "score"), [(2.0, 1.0), (-2.0, 0.0), (0.0, 0.5)])
def test_the_score_follows_the_preference_of_the_model(lean: float, score: float) -> None:
    metrics = stereotypes.measure_preference(Leaning(lean), tokenizer(), PAIRS, "en")
    assert (metrics["pairs"], metrics["score"], metrics["axis"]["gender"]["score"]) == (2, score, score)
    assert metrics["score_low"] < metrics["score_high"]


def test_the_likelihood_is_that_of_the_shared_tokens() -> None:
    ids = tokenizer()("she cooks well")["input_ids"]
    likelihood = stereotypes.log_likelihood(Leaning(2.0), tokenizer(), ids, [1, 2])
    others = torch.tensor([0.0] * 6 + [2.0]).logsumexp(0)
    assert likelihood == pytest.approx(float((2 - others) + (0 - others)), abs=1e-5)


def test_without_pairs_in_the_language_there_is_no_score() -> None:
    metrics = stereotypes.measure_preference(Leaning(1.0), tokenizer(), PAIRS[:2], "zh")
    assert metrics == {"score": None, "reason": "no pairs in zh, the language of the corpus"}


def test_the_language_is_that_of_most_letters() -> None:
    assert stereotypes.detect_language(["这个产品很好 good", "不错"]) == "zh"
    assert stereotypes.detect_language(["a good one 好"]) == "en"


def test_the_pairs_of_the_project_differ_in_a_few_words_and_are_in_both_languages() -> None:
    pairs = stereotypes.read_pairs(FILE)
    assert {pair.language for pair in pairs} == {"en", "zh"}
    assert len({(pair.more, pair.less) for pair in pairs}) == len(pairs) >= 60
    for pair in (pair for pair in pairs if pair.language == "en"):
        more, less = set(pair.more.lower().split()), set(pair.less.lower().split())
        assert len(more ^ less) <= 6, pair


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
        stereotypes.read_pairs(tmp_path / "pairs.csv")
    with pytest.raises(UserError, match="found no such file"):
        stereotypes.read_pairs(tmp_path / "gone.csv")
