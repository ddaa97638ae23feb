"""Synonym substitution: each labelled training row gains paraphrases that keep its label.

    python -m pipeline.stages.synonyms

Reads data/ingest/train.parquet; writes data/synonyms/train.parquet and metrics.json.

nlpaug's SynonymAug does the substitution, with a lexicon of ours in place of its own: WordNet unfiltered gives
"know" -> "jazz" and "weeks" -> "hebdomad". A word is replaced only where word and synonym mostly mean the same
thing in the sense-tagged corpus that WordNet counts.
"""

import re
from collections.abc import Iterator
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from pipeline.core import table
from pipeline.core.params import Synonyms
from pipeline.core.stage import Metrics, Paths, main, progress
from pipeline.text import wordnet

if TYPE_CHECKING:
    from nltk.corpus.reader import WordNetCorpusReader
    from nltk.corpus.reader.wordnet import Synset

TAGS = {"n": "NN", "v": "VB", "a": "JJ", "r": "RB"}  # parts of speech of WordNet, and the tag nlpaug wants for each
KEEP = "DT"  # the tag of what nlpaug never replaces
TOKENS = re.compile(r"\w+(?:['’.@/:&-]\w+)*|\W")  # "don't" and "a.b.com" stay whole; joined, they give the text
PLAIN = re.compile(r"[a-z]{4,}")  # shorter words have too many senses
ADVERB = re.compile(r"\w+ly")  # the others behave like function words: no "as presently as possible" for "as soon as"
ENDINGS = {"n": ("s",), "v": ("s", "ed", "ing"), "a": (), "r": ()}

# Shares and counts of senses in WordNet's tagged corpus; set by reading what the stage made of news, bank queries
# and clothing reviews: looser, "withdraw money" becomes "retreat money".
MIN_COUNT = 8  # seen that often in the shared sense, word and synonym alike
MIN_POS = 0.8  # of a word's uses, in its most frequent part of speech
MIN_WORD = 0.5  # of a word's uses, in the shared sense
MIN_SYNONYM = 0.4  # of a synonym's uses, in the shared sense
MIN_RATIO = 0.15  # of the word's count in that sense, the synonym's: rarer ones sound stilted

# What stands before a noun or a verb; decides for words that can be both ("a scare", "to scare"). Nothing decides for
# an adjective that can be both as well.
BEFORE = {
    "n": set("the a an my your his her its our their this that these those no any some every each another".split()),
    "v": set(
        "to i you we they who will would can could should may might must shall cannot not don't didn't doesn't "
        "can't couldn't won't wouldn't let please".split()
    ),
}


class Entry(NamedTuple):
    """What the lexicon knows of a word form; no synonyms for most."""

    pos: str = ""
    synonyms: tuple[str, ...] = ()
    ambiguous: bool = False  # a noun and a verb are spelled like this


def run(params: Synonyms, paths: Paths) -> Metrics:
    """Write ``variants`` substitutions of each gold row, less those that changed nothing or came out twice.

    Raises UserError when WordNet is not installed.
    """
    gold = table.read(paths.data("ingest") / "train.parquet")
    rows, counts = table.empty(gold), {"unchanged": 0, "repeated": 0}
    if params.variants:
        rows, counts = vary(gold, Lexicon(wordnet.load()), params)
    table.write(rows, paths.data("synonyms") / "train.parquet")
    return {"rows": len(rows), "gold_rows": len(gold), "varied": int(rows["source_id"].nunique()), **counts}


def vary(gold: pd.DataFrame, lexicon: "Lexicon", params: Synonyms) -> tuple[pd.DataFrame, dict[str, int]]:
    """The variants of every gold row as a table, and how many were not kept.

    What a row gains depends on the seed, its id and its text alone, whatever the order of the rows.
    """
    augmenter = build(lexicon)
    position: list[int] = []
    texts: list[str] = []
    counts = {"unchanged": 0, "repeated": 0}
    for i, (id, text) in enumerate(progress(zip(gold["id"], gold["text"], strict=True), "synonyms", len(gold))):
        seen = set()
        for variant in substitute(augmenter, text, id, params):
            if variant == text.strip():
                counts["unchanged"] += 1
            elif variant in seen:
                counts["repeated"] += 1
            else:
                seen.add(variant)
                position.append(i)
                texts.append(variant)
    source = gold.iloc[position]
    rows = table.make(
        id=[table.row_id(f"synonyms/{id}", text) for id, text in zip(source["id"], texts, strict=True)],
        source_id=source["source_id"].tolist(),
        text=texts,
        label=source["label"].tolist(),
        origin="synonym",
        weight=params.weight,
        groups=source,
    )
    return rows, counts


def substitute(augmenter: Any, text: str, id: str, params: Synonyms) -> Iterator[str]:
    """``variants`` texts in which ``share`` of the replaceable words (at least one, if any) are replaced."""
    tags = augmenter.model.pos_tag(TOKENS.findall(text))
    replaceable = sum(tag != KEEP for _, tag in tags)
    augmenter.aug_min = augmenter.aug_max = max(1, round(params.share * replaceable))
    for variant in range(params.variants):
        augmenter.random = Random(f"{params.seed}/{id}/{variant}")
        yield augmenter.augment(text)[0] if replaceable else text.strip()


def build(lexicon: "Lexicon") -> Any:
    """nlpaug's SynonymAug over our lexicon, with spacing kept as it is and its own source of random numbers."""
    from nlpaug.augmenter.word import SynonymAug

    class Augmenter(SynonymAug):
        random = Random()

        @classmethod
        def get_model(cls, *_: Any) -> Lexicon:
            return lexicon

        def sample(self, items: list[Any], size: int) -> list[Any]:
            return self.random.sample(items, size)

    return Augmenter(tokenizer=TOKENS.findall, reverse_tokenizer="".join)


class Lexicon:
    """The part of nlpaug's WordNet class that SynonymAug calls, restricted to synonyms that read well."""

    def __init__(self, reader: "WordNetCorpusReader") -> None:
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

        self.reader = reader
        self.stop_words = ENGLISH_STOP_WORDS
        # The lemmas that have an irregular form, by part of speech: nothing here can inflect those.
        self.irregular = {
            pos: {lemma for lemmas in reader._exception_map[pos].values() for lemma in lemmas} for pos in TAGS
        }
        self.entry = cache(self.look_up)

    def pos_tag(self, tokens: list[str]) -> list[tuple[str, str]]:
        """Each token with the tag of its most frequent part of speech, or with KEEP if it is to stay as it is."""
        words = [i for i, token in enumerate(tokens) if not token.isspace()]
        lower = [tokens[i].lower() for i in words]
        tags = [KEEP] * len(tokens)
        for n, i in enumerate(words):
            before, after = lower[n - 1] if n else ".", lower[n + 1] if n + 1 < len(lower) else "."
            # A capital inside a sentence is a name or a headline; only at the start is it just a capital.
            starts = tokens[i][1:].islower() and before in ".!?"
            entry = self.entry(lower[n]) if tokens[i].islower() or starts else Entry()
            if entry.synonyms and self.fits(entry, before, lower[n], after) and not set(entry.synonyms) & set(lower):
                tags[i] = TAGS[entry.pos]
        return list(zip(tokens, tags, strict=True))

    def fits(self, entry: Entry, before: str, word: str, after: str) -> bool:
        """Whether the word stands for itself, in the expected part of speech, and "a" or "an" stays right."""
        if any(self.reader.lemmas(pair) for pair in (f"{before}_{word}", f"{word}_{after}")):
            return False
        if entry.pos == "n" and before.isdigit():  # a unit of measure
            return False
        if entry.ambiguous and before.replace("’", "'") not in BEFORE.get(entry.pos, ()):  # an adjective: never
            return False
        return before not in ("a", "an") or all((form[0] in "aeiou") == (before == "an") for form in entry.synonyms)

    def predict(self, word: str, pos: str | None = None) -> list[str]:
        """The admissible synonyms, in the inflection of the word; nlpaug asks only for words that pos_tag tagged."""
        return list(self.entry(word.lower()).synonyms)

    def look_up(self, word: str) -> Entry:
        """Part of speech and admissible synonyms of a lower-case word."""
        if not PLAIN.fullmatch(word) or word in self.stop_words:
            return Entry()
        readings = {pos: lemma for pos in TAGS if (lemma := self.reader.morphy(word, pos))}
        if len(set(readings.values())) != 1:  # "going" is a verb form and a noun of its own
            return Entry()
        lemma = next(iter(readings.values()))
        uses = {pos: sum(self.count(lemma, synset) for synset in self.reader.synsets(lemma, pos)) for pos in readings}
        pos = max(uses, key=lambda pos: uses[pos])
        ending = self.ending(word, lemma, pos)
        if ending is None or not self.usable(lemma, pos) or uses[pos] < MIN_POS * self.uses(lemma):
            return Entry()
        sense = self.reader.synsets(lemma, pos)[0]
        if self.count(lemma, sense) < max(MIN_COUNT, MIN_WORD * self.uses(lemma)):
            return Entry()
        found = (self.inflect(name, ending, pos) for name in self.admissible(lemma, sense, pos))
        return Entry(pos, tuple(form for form in found if form), {"n", "v"} <= readings.keys())

    def usable(self, lemma: str, pos: str) -> bool:
        """Not an adverb such as "soon", nor a noun that may be a plural, such as "earnings"."""
        return not (pos == "r" and not ADVERB.fullmatch(lemma) or pos == "n" and lemma.endswith("s"))

    def admissible(self, lemma: str, sense: "Synset", pos: str) -> list[str]:
        """Lemmas of a sense that mean mostly that, are about as common, and take the same objects if they are verbs."""
        frames = {item.name(): set(item.frame_ids()) for item in sense.lemmas()}
        least = max(MIN_COUNT, MIN_RATIO * self.count(lemma, sense))
        return [
            name
            for name in frames
            if name != lemma
            and PLAIN.fullmatch(name)
            and self.usable(name, pos)
            and name not in self.stop_words
            and self.count(name, sense) >= max(least, MIN_SYNONYM * self.uses(name))
            and self.reader.synsets(name, pos)[0] == sense
            and all(self.reader.morphy(name, other) in (None, name) for other in TAGS)
            and frames[lemma] <= frames[name]
        ]

    def uses(self, lemma: str) -> int:
        """How often a lemma was tagged in any sense."""
        return sum(self.count(lemma, synset) for synset in self.reader.synsets(lemma))

    def count(self, lemma: str, synset: "Synset") -> int:
        """How often a lemma was tagged with this sense."""
        return sum(item.count() for item in synset.lemmas() if item.name() == lemma)

    def ending(self, word: str, lemma: str, pos: str) -> str | None:
        """The regular ending that makes the word out of its lemma; None for any other form."""
        return next((end for end in ("", *ENDINGS[pos]) if self.inflect(lemma, end, pos) == word), None)

    def inflect(self, lemma: str, ending: str, pos: str) -> str | None:
        """The regular form of a lemma; None where the form is irregular."""
        if not ending:
            return lemma
        if lemma in self.irregular[pos]:
            return None
        if re.search(r"[^aeiou]y$", lemma) and ending != "ing":
            return lemma[:-1] + "ie" + ending.removeprefix("e")
        if ending == "s":
            return lemma + ("es" if re.search(r"(s|x|z|ch|sh)$", lemma) else "s")
        return lemma.removesuffix("e") + ending


if __name__ == "__main__":
    main(run)
