"""Our greedy decoding gives the tokens of Transformers' `generate`, for rows of all lengths that end at any step."""

from typing import Any

import pytest
import torch
from transformers import MarianConfig, MarianMTModel

from pipeline.stages.back_translate.greedy import decode, unsupported_settings

EOS, PAD, WORDS = 0, 1, 60
SIZES = {"layers": 2, "attention_heads": 4, "ffn_dim": 48}


def make_model(seed: int, **settings: Any) -> MarianMTModel:
    """A model of random weights and biases, whose rows end at different steps."""
    torch.manual_seed(seed)
    layers: dict[str, Any] = {f"{side}_{key}": size for side in ("encoder", "decoder") for key, size in SIZES.items()}
    special: dict[str, Any] = {"pad_token_id": PAD, "eos_token_id": EOS, "decoder_start_token_id": PAD}
    model = MarianMTModel(MarianConfig(vocab_size=WORDS, d_model=32, init_std=0.4, **layers, **special))
    model.model.shared.weight.data *= 8  # so that the last token counts for more than the source
    model.lm_head.weight = torch.nn.Parameter(torch.randn(WORDS, 32))  # tied to the input, it repeats the last token
    torch.nn.init.normal_(model.final_logits_bias, std=0.5)
    model.final_logits_bias[0, EOS] += 3
    for name, value in ({"bad_words_ids": [[PAD]], "forced_eos_token_id": EOS} | settings).items():
        setattr(model.generation_config, name, value)
    return model.eval()


def make_batch(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask of 24 texts of 1 to 20 tokens."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 21, (24,), generator=generator)
    mask = (torch.arange(20)[None] < lengths[:, None]).long()
    ids = torch.randint(2, WORDS, (24, 20), generator=generator)
    return torch.where(mask.bool(), ids, PAD), mask


def without_padding(tokens: torch.Tensor) -> list[list[int]]:
    """The tokens of each row up to its end."""
    rows = [row.tolist() for row in tokens]
    return [row[: row.index(EOS) + 1] if EOS in row else row for row in rows]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("forced", [EOS, None])
def test_the_tokens_are_those_of_generate(seed: int, forced: int | None) -> None:
    model, (ids, mask) = make_model(seed, forced_eos_token_id=forced), make_batch(seed)
    longest = 25
    with torch.inference_mode():
        expected = model.generate(
            input_ids=ids, attention_mask=mask, num_beams=1, do_sample=False, max_new_tokens=longest
        )[:, 1:]
    found = decode(model, ids, mask, longest)
    assert without_padding(found) == without_padding(expected)
    assert found.shape == expected.shape


def test_rows_end_at_once_later_and_never_in_these_tests() -> None:
    rows = [row for seed in range(6) for row in without_padding(decode(make_model(seed), *make_batch(seed), 25))]
    lengths = {len(row) for row in rows}
    assert len(lengths) > 2 and {1, 25} <= lengths


def test_settings_that_it_does_not_follow_are_named() -> None:
    assert unsupported_settings(make_model(0)) == []
    changed = make_model(0, no_repeat_ngram_size=3, bad_words_ids=[[PAD], [4, 5]])
    assert unsupported_settings(changed) == ["no_repeat_ngram_size", "bad_words_ids"]
