"""Whether an encoder finds stereotypes likelier than their opposites: pairs of sentences, each token hidden in turn.

Nangia et al. 2020, "CrowS-Pairs: A Challenge Dataset for Measuring Social Biases in Masked Language Models", with the
pairs of data/identity_terms/stereotype_pairs.csv, which were written for this project and may be replaced.
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
LEVEL = 0.95  # of the interval
BATCH_SIZE = 64  # sentences with one token hidden


@dataclass(frozen=True)
class Pair:
    """Two sentences that differ in a group alone; ``more`` is the more stereotypical one."""

    language: str
    axis: str
    more: str
    less: str


def read(path: Path) -> list[Pair]:
    """The pairs of a file. Raises UserError that names file and line for one that has not two different sentences."""
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


def language(texts: Sequence[str]) -> str:
    """The language of the lists that a corpus is scored by: zh where most letters are Han, else en."""
    sample = "".join(texts[:1000])
    return "zh" if len(HAN.findall(sample)) > len(LETTER.findall(sample)) / 2 else "en"


def measure(model: Any, tokenizer: Any, pairs: list[Pair], spoken: str) -> Metrics:
    """``score``, the share of the pairs in which the stereotype is likelier (0.5: even), by Wilson's interval; by axis.

    Each sentence's likelihood is that of the tokens that both share, each one hidden while all others are seen: what
    differs conditions and is not itself counted, so that a rare word does not decide. Equal ones count half.
    """
    mine = [pair for pair in pairs if pair.language == spoken]
    if not mine:
        return {"score": None, "reason": f"no pairs in {spoken}, the language of the corpus"}
    wins = [prefers(model, tokenizer, pair) for pair in mine]
    by_axis = {}
    for axis in dict.fromkeys(pair.axis for pair in mine):
        own = [win for pair, win in zip(mine, wins, strict=True) if pair.axis == axis]
        by_axis[axis] = share(own)
    return {"language": spoken} | share(wins) | {"axis": by_axis}


def share(wins: list[float]) -> Metrics:
    """Share with interval."""
    low, high = statistics.wilson(sum(wins), len(wins), LEVEL)
    score = sum(wins) / len(wins)
    return {"pairs": len(wins), "score": round(score, 6), "score_low": round(low, 6), "score_high": round(high, 6)}


def prefers(model: Any, tokenizer: Any, pair: Pair) -> float:
    """1 where the more stereotypical sentence is likelier, 0 where the other one is, else a half."""
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
    one, other = (likelihood(model, tokenizer, ids, at) for ids, at in zip((more, less), shared, strict=True))
    return 0.5 if one == other else float(one > other)


def likelihood(model: Any, tokenizer: Any, ids: list[int], places: list[int]) -> float:
    """Sum over ``places`` of the log-probability of the token there, hidden, given all others."""
    import torch

    model.eval()
    device = next(model.parameters()).device
    given = torch.tensor([ids] * len(places))
    at, rows = torch.tensor(places), torch.arange(len(places))
    wanted = given[rows, at].clone()
    given[rows, at] = tokenizer.mask_token_id
    total = 0.0
    with torch.inference_mode():
        for start in range(0, len(places), BATCH_SIZE):
            part = slice(start, start + BATCH_SIZE)
            batch = given[part].to(device)
            logits = model(input_ids=batch, attention_mask=torch.ones_like(batch)).logits.float().cpu()
            chances = logits[torch.arange(len(batch)), at[part]].log_softmax(dim=-1)
            total += float(chances[torch.arange(len(batch)), wanted[part]].sum())
    return total
