"""Rules for labels and groups: missing words, renames for every spelling, and one spelling that is stable."""

import pandas as pd

from pipeline.sources.value_rules import ValueRules, join_spellings, joined_spellings, rename_values


def renamed(values: list[str | None], rules: ValueRules) -> list[str | None]:
    result = rename_values(pd.Series(values, dtype="str"), rules)
    return [None if pd.isna(value) else value for value in result]


def test_rules_hold_for_every_spelling_that_is_certainly_the_same() -> None:
    rules = ValueRules(rename={"1": "yes"}, missing=("nan",))
    assert renamed(["1", "1.0", "１", "1\u200b", "nan", "nan\u200b", "NaN", None, "2"], rules) == [
        "yes", "yes", "yes", "yes", None, None, "NaN", None, "2",
    ]  # fmt: skip


def test_an_exact_rule_counts_before_one_for_another_spelling() -> None:
    rules = ValueRules(rename={"1": "whole", "1.0": "decimal"}, keep=("nan",), missing=("NaN",))
    assert renamed(["1", "1.0", "nan", "NaN"], rules) == ["whole", "decimal", "nan", None]


def test_a_lone_spelling_stays_and_two_become_the_plain_one() -> None:
    assert joined_spellings(["True", "False"], ValueRules()) == {}
    assert joined_spellings(["True", "TRUE"], ValueRules()) == {"True": "true", "TRUE": "true"}
    assert joined_spellings(["1.0", "1"], ValueRules(keep=("1.0",))) == {}


def test_the_spelling_that_params_name_is_used() -> None:
    assert joined_spellings(["True", "true"], ValueRules(named=("True",))) == {"true": "True"}


def test_arrivals_take_the_spelling_of_the_source() -> None:
    arrived = pd.Series(["1", "2.0", "3"], dtype="str")
    assert join_spellings(arrived, ValueRules(), first=["1.0", "2"]).tolist() == ["1.0", "2", "3"]
