"""The demo corpus fits its README, and its generator writes it again byte by byte."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

DEMO = Path(__file__).parent.parent / "data" / "demo"
FILES = ("train.csv", "test.csv", "unlabelled.csv")


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo_generate", DEMO / "generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return {name: pd.read_csv(DEMO / name) for name in FILES}


def test_generator_writes_the_same_bytes(generator: ModuleType, tmp_path: Path) -> None:
    generator.write(tmp_path)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (DEMO / name).read_bytes(), name


def test_counts(tables: dict[str, pd.DataFrame]) -> None:
    train, test, pool = (tables[name] for name in FILES)
    assert train["intent"].value_counts().to_dict() == dict.fromkeys(sorted(train["intent"].unique()), 8)
    assert train["intent"].nunique() == 8
    assert len(test) == 400 and set(test["intent"]) == set(train["intent"])
    assert list(pool.columns) == ["text", "customer"]
    assert sum(map(len, tables.values())) >= 2000


def test_no_text_occurs_twice_in_any_file(tables: dict[str, pd.DataFrame]) -> None:
    texts = pd.concat([table["text"] for table in tables.values()])
    assert not texts.str.lower().duplicated().any()
    assert all(4 <= len(text.split()) <= 60 for text in texts)


def test_corpus_is_too_hard_for_words_alone(tables: dict[str, pd.DataFrame]) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    train, test = tables["train.csv"], tables["test.csv"]
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    model = make_pipeline(words, LogisticRegression(C=10, max_iter=1000)).fit(train["text"], train["intent"])
    assert 0.4 < model.score(test["text"], test["intent"]) < 0.75


def test_only_labels_of_business_customers_are_biased(generator: ModuleType) -> None:
    rows = pd.DataFrame([vars(row) for split in generator.splits().values() for row in split])
    biased = rows[rows["intent"] != rows["asked"]]
    assert set(biased["customer"]) == {"business"}
    assert set(biased["asked"]) == {"billing_problem", "refund_status"}
    assert set(biased["intent"]) == {"cancel_subscription"}
    exposed = rows[(rows["customer"] == "business") & rows["asked"].isin(["billing_problem", "refund_status"])]
    assert 0.10 < len(biased) / len(exposed) < 0.20


def test_business_customers_write_shorter_and_with_shorthand(tables: dict[str, pd.DataFrame]) -> None:
    rows = pd.concat(tables.values())
    business, private = (rows.loc[rows["customer"] == group, "text"] for group in ("business", "private"))

    def words(texts: pd.Series) -> float:
        return float(np.mean([len(text.split()) for text in texts]))

    def share(texts: pd.Series, pattern: str) -> float:
        return float(np.mean([bool(re.search(pattern, text)) for text in texts]))

    assert words(business) < words(private) - 1.5
    shorthand, lower = r"\b(?:pls|thx|acct|inv|u)\b", r"^[^A-Z]*$"
    assert share(business, shorthand) > 3 * share(private, shorthand)
    assert share(business, lower) > 1.5 * share(private, lower)
