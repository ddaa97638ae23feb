"""Write the demo corpus: customer-support messages of a fictional shop, in 8 intents, from a fixed seed.

    python data/demo/generate.py

Reads phrases/*.yaml; writes train.csv, test.csv and unlabelled.csv beside this file, the same bytes each time.
README.md says what was planted on purpose.
"""

import csv
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import yaml

HERE = Path(__file__).parent
SEED = 11
TEST_ROWS = 400
GOLD_PER_INTENT = 8
POOL_ROWS = 1850
ASIDES = 0.1  # messages that also mention another intent's topic
LEADS, DETAILS, CONTEXTS = 0.72, 0.5, 0.2
CALM = ("product_question", "change_order")  # nobody is angry yet
AFTER_ORDERING = ("delivery_delay", "faulty_item", "billing_problem", "refund_status", "change_order")
WORDS = range(4, 61)  # how long a message may be

# How often each intent is asked: unbalanced, as an inbox is.
SHARES = {
    "delivery_delay": 0.22,
    "faulty_item": 0.15,
    "billing_problem": 0.14,
    "refund_status": 0.13,
    "product_question": 0.12,
    "account_access": 0.10,
    "change_order": 0.08,
    "cancel_subscription": 0.06,
}
NAMES = {"device", "ware", "soft", "thing", "order", "plan", "club"}  # what stays the same within a message


@dataclass(frozen=True)
class Style:
    """How the customers of one group write: every field but ``share`` and ``typos`` is a probability."""

    share: float  # of all messages
    brief: float  # a note of a few words in place of sentences
    lower: float  # no capitals
    unpunctuated: float  # no full stops or apostrophes
    shorthand: float  # asap, pls, rcvd
    typos: float  # expected misspelt words per message


STYLES = {
    "private": Style(share=0.65, brief=0.12, lower=0.2, unpunctuated=0.12, shorthand=0.05, typos=0.4),
    "business": Style(share=0.35, brief=0.3, lower=0.4, unpunctuated=0.3, shorthand=0.5, typos=0.7),
}
# The planted bias in the labels: the business desk files a complaint about money as a customer about to leave.
LEANING_GROUP, LEANING_FROM, LEANING_TO = "business", ("billing_problem", "refund_status"), "cancel_subscription"
LEANING_RATE = 0.15

SHORTHAND = {
    "please": "pls", "thanks": "thx", "thank you": "thx", "received": "rcvd", "as soon as possible": "asap",
    "number": "no.", "with": "w/", "account": "acct", "invoice": "inv", "you": "u", "week": "wk", "weeks": "wks",
    "message": "msg", "tomorrow": "tmrw", "about": "abt", "without": "w/o", "replacement": "repl", "and": "&",
    "address": "addr", "information": "info", "password": "pw", "payment": "pmt", "month": "mth", "quantity": "qty",
}  # fmt: skip
# Ends with a full stop in the phrases, whichever alternative was picked, and yet asks.
ASKING = re.compile(r"(?i)((?:^|[.!?,] )(?:so )?(?:could|can|how|who can|what now|where is)\b[^.?!,]*)\.(?=$| )")
NEIGHBOURS = dict(zip("abcdefghiklmnoprstuvwy", "snvfrdhgulknbpotdrycet", strict=True))  # on the keyboard


@dataclass(frozen=True)
class Message:
    """One message: ``asked`` is what the text is about, ``intent`` the label it was given."""

    text: str
    asked: str
    intent: str
    customer: str


def load_phrases() -> dict[str, Any]:
    """The phrases of each file in phrases/, by file name."""
    return {path.stem: yaml.safe_load(path.read_text()) for path in sorted((HERE / "phrases").glob("*.yaml"))}


class Draft:
    """Fills templates for one message: a product, order or plan named once keeps its name."""

    def __init__(self, rng: Random, slots: dict[str, list[str]]) -> None:
        self.rng = rng
        self.slots = slots
        self.named: dict[str, str] = {}

    def fill(self, template: str) -> str:
        """The template with one of each ``(a|b)`` picked and each ``<slot>`` filled."""
        while "(" in template:
            template = re.sub(r"\(([^()]*)\)", lambda match: self.rng.choice(match[1].split("|")), template)
        return re.sub(r"<(\w+)>", lambda match: self.slot(match[1]), template)

    def slot(self, name: str) -> str:
        if name in self.named:
            return self.named[name]
        value = self.fill(self.rng.choice(self.slots[name]))
        if name in NAMES:
            self.named[name] = value
            if name in ("device", "ware", "soft"):
                self.named["thing"] = value
        return value


def compose(rng: Random, phrases: dict[str, Any], asked: str, customer: str) -> str:
    """What the customer means to say, before style: the ask, and around it whatever people add."""
    common, own = phrases["common"], phrases[asked]
    draft = Draft(rng, common["slots"])
    brief = rng.random() < STYLES[customer].brief
    ask = draft.fill(rng.choice(own["brief"] if brief and rng.random() < 0.6 else own["asks"]))

    def maybe(probability: float, templates: list[str]) -> list[str]:
        return [draft.fill(rng.choice(templates))] if rng.random() < probability * (0.4 if brief else 1) else []

    elsewhere = rng.choice([intent for intent in SHARES if intent != asked])
    contexts = common["contexts"][customer]["any"] + common["contexts"][customer]["order"] * (asked in AFTER_ORDERING)
    closings = common["closings"]["any"] + common["closings"]["case"] * (asked != "product_question")
    mood = common["emotions"]["mild" if asked in CALM or rng.random() < 0.3 else "upset"]
    greeting = maybe(0.4, common["greetings"])
    before = maybe(CONTEXTS, contexts) + maybe(0.12, mood) + maybe(LEADS, own["leads"])
    after = maybe(DETAILS, own["details"]) + maybe(0.12, mood) + maybe(0.35, closings)
    aside = maybe(ASIDES, phrases[elsewhere]["asides"])
    if aside:
        (before if rng.random() < 0.4 else after).extend(aside)
    opening = [part + rng.choice([",", ",", "!", "."]) for part in greeting]
    return sentences([*opening, *before, ask, *after])


def sentences(parts: list[str]) -> str:
    """The parts as running text: stops, capitals, and ``an`` where it belongs."""
    text = " ".join(part if part[-1] in ".,!?" else part + "." for part in parts)
    text = re.sub(ASKING, r"\1?", text)
    text = re.sub(r"\b([Aa]) (?=[aeio]|8\b|11\b|18\b)", r"\1n ", text)
    text = re.sub(r"\s+([,.?!])", r"\1", re.sub(r"\s+", " ", text)).strip()
    return re.sub(r"(^|[.!?] )(\w)", lambda match: match[1] + match[2].upper(), text)


def stylise(rng: Random, text: str, style: Style) -> str:
    """The text as this customer types it."""
    if rng.random() < style.shorthand:
        for word, short in SHORTHAND.items():
            text = re.sub(rf"\b{word}\b", short, text, flags=re.IGNORECASE)
    if rng.random() < style.unpunctuated:
        text = re.sub(r"[.,!'](?=\s|$|\w*')|(?<=\w)'(?=\w)", "", text)
    if rng.random() < style.lower:
        text = text.lower()
    words = text.split(" ")
    for i, word in enumerate(words):
        if word.isalpha() and len(word) > 3 and rng.random() < style.typos / len(words):
            words[i] = misspell(rng, word)
    return " ".join(words)


def misspell(rng: Random, word: str) -> str:
    """One slip of the finger, after the first letter."""
    i = rng.randrange(1, len(word) - 1)
    slips = [
        word[:i] + word[i + 1 :],
        word[:i] + word[i] + word[i:],
        word[:i] + word[i + 1] + word[i] + word[i + 2 :],
        word[:i] + NEIGHBOURS.get(word[i], word[i + 1]) + word[i + 1 :],
    ]
    return rng.choice(slips)


def messages() -> Iterator[Message]:
    """An endless stream of messages, none twice."""
    rng = Random(SEED)
    phrases = load_phrases()
    seen: set[str] = set()
    while True:
        asked = rng.choices(list(SHARES), list(SHARES.values()))[0]
        customer = rng.choices(list(STYLES), [style.share for style in STYLES.values()])[0]
        text = stylise(rng, compose(rng, phrases, asked, customer), STYLES[customer])
        leans = customer == LEANING_GROUP and asked in LEANING_FROM and rng.random() < LEANING_RATE
        key = "".join(filter(str.isalnum, text.lower()))
        if len(text.split()) not in WORDS or key in seen:
            continue
        seen.add(key)
        yield Message(text, asked, LEANING_TO if leans else asked, customer)


def splits() -> dict[str, list[Message]]:
    """Test, train and unlabelled rows, drawn in this order from the one stream."""
    stream = messages()
    test = [next(stream) for _ in range(TEST_ROWS)]
    train: list[Message] = []
    pool: list[Message] = []
    labels: Counter[str] = Counter()
    while len(pool) < POOL_ROWS or len(train) < GOLD_PER_INTENT * len(SHARES):
        message = next(stream)
        gold = labels[message.intent] < GOLD_PER_INTENT
        labels[message.intent] += gold
        (train if gold else pool).append(message)
    return {"test": test, "train": train, "unlabelled": pool}


def write(folder: Path) -> None:
    """Write the three files into ``folder``."""
    for name, rows in splits().items():
        columns = ["text", "customer"] if name == "unlabelled" else ["text", "intent", "customer"]
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(columns)
            table.writerows([getattr(row, column) for column in columns] for row in rows)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
