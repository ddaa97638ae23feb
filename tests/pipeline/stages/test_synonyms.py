"""Synonyms: the text stays readable, rows keep their source, and variants depend only on seed and row."""

import pytest

from pipeline.core import table
from pipeline.core.params import Synonyms
from pipeline.core.stage import Paths
from pipeline.stages import synonyms
from pipeline.text import wordnet

pytestmark = [
    pytest.mark.slow,  # the import of nlpaug takes about ten seconds
    pytest.mark.skipif(not wordnet.DEBIAN_FOLDER.is_dir(), reason="the package wordnet-base is not installed"),
]

TEXTS = [
    "Quickly, tell me which countries you support!\n  It was a movie  about  two lawyers.",
    "How does the salary reach the country?",
    "I remember the film. I usually provide an answer immediately and it happens rapidly.",
    "zzz qqq",
]


@pytest.fixture(scope="module")
def lexicon():
    return synonyms.Lexicon(wordnet.load())


def params(**changes):
    return Synonyms(**({"variants": 1, "share": 1.0, "weight": 0.5, "seed": 0} | changes))


def gold(texts=TEXTS):
    ids = [table.row_id("test", text) for text in texts]
    rows = table.make(id=ids, source_id=ids, text=texts, label=["a"] * len(texts), origin="gold")
    return rows.assign(**{"group.age": "young"})


def test_text_around_the_replaced_words_stays_as_it_is(lexicon):
    rows, _ = synonyms.make_variants(gold(), lexicon, params())
    first = rows["text"][0]
    assert first.startswith("Rapidly, tell me which nations you support!\n  It was a ")
    assert "  about  two attorneys." in first


def test_rows_keep_source_label_and_groups_and_take_the_weight(tmp_path):
    paths = Paths(tmp_path)
    rows = gold()
    rows["source_id"] = "0123456789abcdef"
    table.write(rows, paths.data("ingest") / "train.parquet")
    metrics = synonyms.run(params(variants=2), paths)
    written = table.read(paths.data("synonyms") / "train.parquet")
    assert set(written["source_id"]) == {"0123456789abcdef"}
    assert set(written["origin"]) == {"synonym"}
    assert set(written["group.age"]) == {"young"} and set(written["label"]) == {"a"} and set(written["weight"]) == {0.5}
    assert len(written) == metrics["rows"]
    assert metrics["rows"] + metrics["unchanged"] + metrics["repeated"] == 2 * metrics["gold_rows"]
    assert metrics["unchanged"] >= 2  # nothing to replace in the last row


def test_variants_depend_only_on_seed_and_row(lexicon):
    once, _ = synonyms.make_variants(gold(), lexicon, params(variants=3, share=0.3))
    shuffled, _ = synonyms.make_variants(gold(TEXTS[::-1]), lexicon, params(variants=3, share=0.3))
    assert sorted(once["text"]) == sorted(shuffled["text"])
    assert once["text"].is_unique
    other, _ = synonyms.make_variants(gold(), lexicon, params(variants=3, share=0.3, seed=1))
    assert sorted(once["text"]) != sorted(other["text"])


def test_no_variants_write_an_empty_table(tmp_path):
    paths = Paths(tmp_path)
    table.write(gold(), paths.data("ingest") / "train.parquet")
    metrics = synonyms.run(params(variants=0), paths)
    written = table.read(paths.data("synonyms") / "train.parquet")
    assert written.empty and "group.age" in written.columns
    assert metrics["rows"] == 0 and metrics["gold_rows"] == 4
