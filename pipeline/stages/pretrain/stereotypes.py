"""The stereotype score: how often a masked-language model finds a stereotype likelier than its opposite.

The method is that of Nangia et al. 2020, "CrowS-Pairs: A Challenge Dataset for Measuring Social Biases in Masked
Language Models". The pairs of sentences are those of data/identity_terms/stereotype_pairs.csv, which were written for
this project and may be replaced.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError
from pipeline.core.stage import Metrics
from pipeline.metrics import statistics

FILE = "stereotype_pairs.csv"
COLUMNS = ["language", "axis", "more", "less"]
HAN = re.compile("[\u3400-\u9fff]")
LETTER = re.compile(r"[^\W\d_]")
SAMPLE_SIZE = 1000  # texts from which the language is detected: ample, and read in no time
CONFIDENCE = 0.95  # level of the score's interval
BATCH_SIZE = 64  # sentences with one token hidden; they are short, so that the smallest machine has room for so many


@dataclass(frozen=True)
class Pair:
    """Two sentences that differ in a group alone; ``more`` is the more stereotypical one."""

    language: str
    axis: str
    more: str
    less: str


def read_pairs(path: Path) -> list[Pair]:
    """The pairs of a file.

    Raises UserError if there is no such file, and for a line without two different sentences, language and axis.
    """
    if not path.exists():
        raise UserError(f"{path}: expected pairs of sentences, found no such file; `git checkout {path}`")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        if rows.fieldnames != COLUMNS:
            raise UserError(f"{path}:1: expected the columns {', '.join(COLUMNS)}, found {rows.fieldnames}; correct it")
        pairs = []
        for number, row in enumerate(rows, 2):
            cells = [(row[name] or "").strip() for name in COLUMNS]
            if not all(cells) or cells[2] == cells[3]:
                raise UserError(f"{path}:{number}: expected two different sentences, language and axis; correct it")
            pairs.append(Pair(*cells))
    return pairs


def detect_language(texts: Sequence[str]) -> str:
    """The language of the pairs to score a corpus by: zh where most letters are Han, else en."""
    sample = "".join(texts[:SAMPLE_SIZE])
    return "zh" if len(HAN.findall(sample)) > len(LETTER.findall(sample)) / 2 else "en"


def measure_preference(model: Any, tokenizer: Any, pairs: list[Pair], corpus_language: str) -> Metrics:
    """``score``, 0 to 1: the share of the pairs in which the stereotype is likelier; 0.5 is even. Also by axis.

    A sentence's likelihood is that of the tokens that both sentences share, each of them hidden while all others are
    seen (Nangia et al. 2020). The tokens that differ are conditioned on and not counted themselves, so that a rare word
    does not decide. Equal likelihoods count half. The intervals are Wilson's.
    """
    chosen = [pair for pair in pairs if pair.language == corpus_language]
    if not chosen:
        return {"score": None, "reason": f"no pairs in {corpus_language}, the language of the corpus"}
    preferences = [stereotype_preference(model, tokenizer, pair) for pair in chosen]
    by_axis = {}
    for axis in dict.fromkeys(pair.axis for pair in chosen):
        of_axis = [preference for pair, preference in zip(chosen, preferences, strict=True) if pair.axis == axis]
        by_axis[axis] = preference_share(of_axis)
    return {"language": corpus_language} | preference_share(preferences) | {"axis": by_axis}


def preference_share(preferences: list[float]) -> Metrics:
    """The mean of some preferences, 0 to 1, as ``score``, with its interval and their number."""
    low, high = statistics.wilson_interval(sum(preferences), len(preferences), CONFIDENCE)
    score = sum(preferences) / len(preferences)
    counts = {"pairs": len(preferences), "score": round(score, 6)}
    return counts | {"score_low": round(low, 6), "score_high": round(high, 6)}


def stereotype_preference(model: Any, tokenizer: Any, pair: Pair) -> float:
    """1 where the more stereotypical sentence is likelier, 0 where the other one is, 0.5 where neither is."""
    more, less = (tokenizer(text, truncation=True)["input_ids"] for text in (pair.more, pair.less))
    special = set(tokenizer.all_special_ids)
    shared: tuple[list[int], list[int]] = ([], [])
    for block in SequenceMatcher(None, more, less, autojunk=False).get_matching_blocks():
        for k in range(block.size):
            if more[block.a + k] not in special:
                shared[0].append(block.a + k)
                shared[1].append(block.b + k)
    if not shared[0]:
        return 0.5
    of_more, of_less = (
        log_likelihood(model, tokenizer, ids, places) for ids, places in zip((more, less), shared, strict=True)
    )
    return 0.5 if of_more == of_less else float(of_more > of_less)


def log_likelihood(model: Any, tokenizer: Any, ids: list[int], places: list[int]) -> float:
    """Pseudo-log-likelihood, in nats: the sum over ``places`` of the log-probability of the token there.

    Each token is hidden for itself, given all others (Salazar et al. 2020).
    """
    import torch

    model.eval()
    device = next(model.parameters()).device
    masked = torch.tensor([ids] * len(places))
    hidden_at, rows = torch.tensor(places), torch.arange(len(places))
    targets = masked[rows, hidden_at].clone()
    masked[rows, hidden_at] = tokenizer.mask_token_id
    total = 0.0
    with torch.inference_mode():
        for start in range(0, len(places), BATCH_SIZE):
            part = slice(start, start + BATCH_SIZE)
            batch = masked[part].to(device)
            logits = model(input_ids=batch, attention_mask=torch.ones_like(batch)).logits.float().cpu()
            log_probabilities = logits[torch.arange(len(batch)), hidden_at[part]].log_softmax(dim=-1)
            total += float(log_probabilities[torch.arange(len(batch)), targets[part]].sum())
    return total
