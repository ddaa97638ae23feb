"""A lexicon of English synonyms that read well in place of a word, out of WordNet.

WordNet unfiltered gives "know" -> "jazz" and "weeks" -> "hebdomad". Here a word has a synonym only if both mostly mean
the same thing in the sense-tagged corpus that WordNet counts.
"""

import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nltk.corpus.reader import WordNetCorpusReader
    from nltk.corpus.reader.wordnet import Synset

TAGS = {"n": "NN", "v": "VB", "a": "JJ", "r": "RB"}  # WordNet's part of speech: the tag that nlpaug wants for it
KEEP = "DT"  # the tag of a token that nlpaug never replaces
PLAIN = re.compile(r"[a-z]{4,}")  # shorter words have too many senses
ADVERB = re.compile(r"\w+ly")  # other adverbs are like function words: no "as presently as possible" for "as soon as"
ENDINGS = {"n": ("s",), "v": ("s", "ed", "ing"), "a": (), "r": ()}

# Shares and counts of senses in WordNet's tagged corpus. They were set by reading the synonyms for news, bank queries
# and clothing reviews: with looser ones, "withdraw money" becomes "retreat money".
MIN_COUNT = 8  # uses of the word, and of the synonym, in the shared sense
MIN_POS = 0.8  # share of a word's uses in its most frequent part of speech
MIN_WORD = 0.5  # share of a word's uses in the shared sense
MIN_SYNONYM = 0.4  # share of a synonym's uses in the shared sense
MIN_RATIO = 0.15  # uses of the synonym in the shared sense over those of the word: rarer ones sound stilted

# The words that stand before a noun or a verb: they decide the part of speech of a word that can be both ("a scare",
# "to scare"). No such word decides for an adjective.
WORDS_BEFORE = {
    "n": set("the a an my your his her its our their this that these those no any some every each another".split()),
    "v": set(
        "to i you we they who will would can could should may might must shall cannot not don't didn't doesn't "
        "can't couldn't won't wouldn't let please".split()
    ),
}


class Entry(NamedTuple):
    """Part of speech and synonyms of a word form; most have no synonyms."""

    pos: str = ""  # a key of TAGS
    synonyms: tuple[str, ...] = ()
    ambiguous: bool = False  # whether a noun and a verb are spelled like this


class Lexicon:
    """The methods of nlpaug's WordNet class that SynonymAug calls, limited to synonyms that read well."""

    def __init__(self, reader: "WordNetCorpusReader") -> None:
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

        self.reader = reader
        self.stop_words = ENGLISH_STOP_WORDS
        # The lemmas with an irregular form, by part of speech: ``inflect`` knows regular forms only.
        self.irregular = {
            pos: {lemma for lemmas in reader._exception_map[pos].values() for lemma in lemmas} for pos in TAGS
        }
        self.entry = cache(self.make_entry)

    def pos_tag(self, tokens: list[str]) -> list[tuple[str, str]]:
        """Each token with the tag of its part of speech if it has synonyms that fit here, else with KEEP."""
        words = [i for i, token in enumerate(tokens) if not token.isspace()]
        lower = [tokens[i].lower() for i in words]
        tags = [KEEP] * len(tokens)
        for n, i in enumerate(words):
            before, after = lower[n - 1] if n else ".", lower[n + 1] if n + 1 < len(lower) else "."
            # A capital inside a sentence marks a name or a headline; at its start it means nothing.
            starts_sentence = tokens[i][1:].islower() and before in ".!?"
            entry = self.entry(lower[n]) if tokens[i].islower() or starts_sentence else Entry()
            fits = bool(entry.synonyms) and self.fits_context(entry, before, lower[n], after)
            if fits and not set(entry.synonyms) & set(lower):
                tags[i] = TAGS[entry.pos]
        return list(zip(tokens, tags, strict=True))

    def fits_context(self, entry: Entry, before: str, word: str, after: str) -> bool:
        """Whether every synonym may replace the word between ``before`` and ``after``.

        It may not if the word is part of a compound, a unit of measure, or perhaps another part of speech, or if "a" or
        "an" before it would become wrong.
        """
        if any(self.reader.lemmas(pair) for pair in (f"{before}_{word}", f"{word}_{after}")):
            return False
        if entry.pos == "n" and before.isdigit():  # a unit of measure
            return False
        if entry.ambiguous and before.replace("’", "'") not in WORDS_BEFORE.get(entry.pos, ()):
            return False
        return before not in ("a", "an") or all((form[0] in "aeiou") == (before == "an") for form in entry.synonyms)

    def predict(self, word: str, pos: str | None = None) -> list[str]:
        """The synonyms of a word, in its inflection; nlpaug asks only for words that ``pos_tag`` tagged."""
        return list(self.entry(word.lower()).synonyms)

    def make_entry(self, word: str) -> Entry:
        """Part of speech and synonyms of a lower-case word."""
        if not PLAIN.fullmatch(word) or word in self.stop_words:
            return Entry()
        lemma_by_pos = {pos: lemma for pos in TAGS if (lemma := self.reader.morphy(word, pos))}
        if len(set(lemma_by_pos.values())) != 1:  # "going" is a form of "go", and a noun with its own entry
            return Entry()
        lemma = next(iter(lemma_by_pos.values()))
        uses = {
            pos: sum(self.sense_count(lemma, synset) for synset in self.reader.synsets(lemma, pos))
            for pos in lemma_by_pos
        }
        pos = max(uses, key=lambda pos: uses[pos])
        ending = self.regular_ending(word, lemma, pos)
        if ending is None or not self.is_usable(lemma, pos) or uses[pos] < MIN_POS * self.total_count(lemma):
            return Entry()
        sense = self.reader.synsets(lemma, pos)[0]
        if self.sense_count(lemma, sense) < max(MIN_COUNT, MIN_WORD * self.total_count(lemma)):
            return Entry()
        forms = (self.inflect(name, ending, pos) for name in self.admissible_synonyms(lemma, sense, pos))
        return Entry(pos, tuple(form for form in forms if form), {"n", "v"} <= lemma_by_pos.keys())

    def is_usable(self, lemma: str, pos: str) -> bool:
        """Whether a lemma is no adverb such as "soon", and no noun that may be a plural, such as "earnings"."""
        return not (pos == "r" and not ADVERB.fullmatch(lemma) or pos == "n" and lemma.endswith("s"))

    def admissible_synonyms(self, lemma: str, sense: "Synset", pos: str) -> list[str]:
        """The other lemmas of a sense that mostly have it, and are about as common as ``lemma``.

        A verb must also take the same objects.
        """
        frames = {item.name(): set(item.frame_ids()) for item in sense.lemmas()}
        least = max(MIN_COUNT, MIN_RATIO * self.sense_count(lemma, sense))
        return [
            name
            for name in frames
            if name != lemma
            and PLAIN.fullmatch(name)
            and self.is_usable(name, pos)
            and name not in self.stop_words
            and self.sense_count(name, sense) >= max(least, MIN_SYNONYM * self.total_count(name))
            and self.reader.synsets(name, pos)[0] == sense
            and all(self.reader.morphy(name, other) in (None, name) for other in TAGS)
            and frames[lemma] <= frames[name]
        ]

    def total_count(self, lemma: str) -> int:
        """How often a lemma is tagged in the corpus, in any sense."""
        return sum(self.sense_count(lemma, synset) for synset in self.reader.synsets(lemma))

    def sense_count(self, lemma: str, synset: "Synset") -> int:
        """How often a lemma is tagged in the corpus with this sense."""
        return sum(item.count() for item in synset.lemmas() if item.name() == lemma)

    def regular_ending(self, word: str, lemma: str, pos: str) -> str | None:
        """The regular ending that makes the word out of its lemma; None for any other form."""
        return next((ending for ending in ("", *ENDINGS[pos]) if self.inflect(lemma, ending, pos) == word), None)

    def inflect(self, lemma: str, ending: str, pos: str) -> str | None:
        """The lemma with a regular ending; None if its form is irregular."""
        if not ending:
            return lemma
        if lemma in self.irregular[pos]:
            return None
        if re.search(r"[^aeiou]y$", lemma) and ending != "ing":
            return lemma[:-1] + "ie" + ending.removeprefix("e")
        if ending == "s":
            return lemma + ("es" if re.search(r"(s|x|z|ch|sh)$", lemma) else "s")
        return lemma.removesuffix("e") + ending
