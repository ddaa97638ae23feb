"""English grammar around an identity term: its role by the words beside it, its case, and the article before it."""

import re

ROLES = ("determiner", "object", "pronoun", "noun", "adjective", "people")
# Before one of these, "her" is an object ("saw her and left") and no determiner ("her car"), and "Muslim" after an
# article is a noun ("a Muslim who") and no adjective.
FUNCTION_WORDS = frozenset(
    "and or but nor if because as that than though although when while where who which whose what is was are were be "
    "been being has had have having will would can could should may might must shall did does do done to of in on at "
    "for from with without by about into onto over under after before since until during through between against "
    "again yesterday today tomorrow tonight now then too also so very not just even only the a an this these those my "
    "your our their its it she he they we you i there here up down out off away".split()
)
ARTICLES = frozenset("a an the this that these those another every each any some no one".split())
PEOPLE = frozenset(
    "people person persons folk folks man men woman women guy guys boy boys girl girls lady ladies gentleman gentlemen "
    "kid kids child children male males female females student students customer customers worker workers employee "
    "employees patient patients person's colleague colleagues neighbor neighbors neighbour neighbours friend friends "
    "family families couple couples community communities resident residents user users driver drivers adult adults "
    "teacher teachers doctor doctors nurse nurses applicant applicants voter voters citizen citizens".split()
)
VOWEL = re.compile(r"(?!eu|uni|use|one)[aeiou]", re.IGNORECASE)  # "a European", "a one-off"
WORD_AFTER = re.compile(r"\s+([^\W\d_]+)")
WORD_BEFORE = re.compile(r"([^\W\d_]+)\s+$")
ARTICLE = re.compile(r"\b(an?)(\s+)$", re.IGNORECASE)


def has_role(role: str, text: str, start: int, end: int) -> bool:
    """Whether the word ``text[start:end]`` has the role, by the English words beside it; an empty role always fits."""
    if not role:
        return True
    after = WORD_AFTER.match(text, end)
    next_word = after[1].lower() if after else ""
    if role == "people":
        return next_word in PEOPLE
    precedes_noun = bool(next_word) and next_word not in FUNCTION_WORDS
    if role in ("determiner", "object", "pronoun"):
        return precedes_noun == (role == "determiner")
    before = WORD_BEFORE.search(text, 0, start)
    has_article = before is not None and before[1].lower() in ARTICLES
    is_noun = has_article and not precedes_noun
    return is_noun == (role == "noun")


def match_case(found: str, written: str, new: str) -> str:
    """``new`` in the case of ``found``, the old term in the text; ``written`` is the old term in the list."""
    if found == written:
        return new
    if len(found) > 1 and found.isupper():
        return new.upper()
    return new.lower() if found == found.lower() else new[:1].upper() + new[1:]


def fix_article(before: str, old: str, new: str) -> str:
    """``before``, the text before a term, with the ``a`` or ``an`` at its end changed if ``new`` needs the other."""
    article = ARTICLE.search(before)
    if article is None or bool(VOWEL.match(old)) == bool(VOWEL.match(new)):
        return before
    fixed = article[1][0] + ("n" if VOWEL.match(new) else "")
    fixed = fixed.upper() if len(article[1]) == 2 and article[1].isupper() else fixed
    return before[: article.start()] + fixed + article[2]
