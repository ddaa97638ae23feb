"""What classes are called, and which names say nothing."""

import pytest

from pipeline.text.class_names import class_texts, doubt_meaning


def test_a_class_is_called_by_its_description_or_by_its_name_as_words() -> None:
    labels = ["card_arrival", "lost-card", "_"]
    assert class_texts(labels, {"lost-card": "the card was stolen"}) == ["card arrival", "the card was stolen", "_"]


@pytest.mark.parametrize("names", [["0", "1"], ["LABEL_0", "LABEL_1"], ["class a", "class b", "sport"], ["A", "B"]])
def test_ordinals_say_nothing(names: list[str]) -> None:
    assert "say nothing" in doubt_meaning(names)


@pytest.mark.parametrize("names", [["5 stars", "1 star"], ["class action", "a bug"], ["spam", "1"], ["type of loan"]])
def test_words_say_something(names: list[str]) -> None:
    assert doubt_meaning(names) == ""
