"""The lexicon: which words have synonyms, in which form, and which words stay as they are."""

import pytest

from pipeline.stages.synonyms import TOKENS
from pipeline.text import wordnet
from pipeline.text.synonym_lexicon import KEEP, Lexicon

pytestmark = [
    pytest.mark.slow,  # the import of nlpaug takes about ten seconds
    pytest.mark.skipif(not wordnet.DEBIAN_FOLDER.is_dir(), reason="the package wordnet-base is not installed"),
]


@pytest.fixture(scope="module")
def lexicon():
    return Lexicon(wordnet.load())


def replaceable(lexicon, text):
    return [token for token, tag in lexicon.pos_tag(TOKENS.findall(text)) if tag != KEEP]


@pytest.mark.parametrize(
    ("word", "synonym"),
    [("movie", "film"), ("countries", "nations"), ("remembered", "recalled"), ("lawyers", "attorneys")],
)
def test_synonyms_take_the_inflection_of_the_word(lexicon, word, synonym):
    assert synonym in lexicon.predict(word)


@pytest.mark.parametrize("word", ["know", "weeks", "card", "withdraw", "going", "just", "earnings", "soon", "happened"])
def test_words_without_a_safe_synonym_are_kept(lexicon, word):
    assert lexicon.predict(word) == []  # "happened" -> "occurred" would double a consonant


def test_names_compounds_and_units_are_kept(lexicon):
    assert replaceable(lexicon, "They watched a Movie star in one country") == ["country"]
    assert replaceable(lexicon, "the movie star") == []
    assert replaceable(lexicon, "rose 5 percent") == []
    assert replaceable(lexicon, "THE COUNTRY") == []
    assert replaceable(lexicon, "my-country country's a.country.com") == []


def test_the_article_before_a_word_stays_right(lexicon):
    assert replaceable(lexicon, "we saw a movie") == ["movie"]
    assert replaceable(lexicon, "an attorney") == []  # "an lawyer"


def test_an_adjective_that_is_also_a_noun_and_a_verb_is_kept(lexicon):
    assert lexicon.entry("plain").ambiguous and lexicon.entry("plain").pos == "a"
    assert replaceable(lexicon, "the plain truth") == []
