"""The words by which groups of texts differ from other groups."""

import numpy as np

from pipeline.text.scripts import LETTER, has_no_spaces

MIN_TEXTS = 3  # of a group that have a word, so that a word of one text, such as a name, is not shown


def typical_words(groups: list[list[str]], others: list[list[str]], count: int) -> list[list[str]]:
    """Up to ``count`` words of each group of texts, the most typical one first.

    Words are ranked by c-TF-IDF (Grootendorst 2022, BERTopic): the square root of a word's share of its group's words,
    times log(1 + A / f), where f is how often all groups have it and A is the mean number of words a group. ``others``
    are groups that a word is to be rare in, too. Words that fewer than three texts of the group have are left out.
    Where most letters belong to scripts that put no space between words, a word is two to four characters.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    texts = [text for group in [*groups, *others] for text in group]
    if not groups or not any(LETTER.search(text) for text in texts):
        return [[] for _ in groups]
    unspaced = has_no_spaces("\n".join(texts))
    analysis = {"analyzer": "char", "ngram_range": (2, 4)} if unspaced else {"token_pattern": r"(?u)\b[^\W\d_]{2,}\b"}
    vectorizer = CountVectorizer(**analysis)
    try:
        counts = vectorizer.fit_transform(texts)
    except ValueError:  # no text has a word
        return [[] for _ in groups]
    names = vectorizer.get_feature_names_out()
    ends = np.cumsum([len(group) for group in [*groups, *others]])
    parts = [counts[end - len(group) : end] for group, end in zip([*groups, *others], ends, strict=True)]
    frequencies = np.stack([np.asarray(part.sum(axis=0)).ravel() for part in parts]).astype(float)
    idf = np.log(1 + frequencies.sum() / len(parts) / np.maximum(frequencies.sum(axis=0), 1))
    words = []
    for part, frequency in zip(parts[: len(groups)], frequencies, strict=False):
        weights = np.sqrt(frequency / max(frequency.sum(), 1)) * idf
        weights[np.asarray((part > 0).sum(axis=0)).ravel() < MIN_TEXTS] = 0
        best = [column for column in np.argsort(-weights, kind="stable")[:count] if weights[column] > 0]
        words.append([str(names[column]) for column in best])
    return words
