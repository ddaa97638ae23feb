"""Identity terms: they are found where they stand for people, and exchanged; a faulty list is named with its line."""

from pathlib import Path

import pytest

from pipeline.core.errors import UserError
from pipeline.text import identity

LISTS = Path(__file__).parents[3] / "data" / "identity_terms"


@pytest.fixture(scope="module")
def axes() -> dict[str, identity.Axis]:
    return identity.load(LISTS)


@pytest.mark.parametrize(
    ("axis", "first", "second", "before", "after"),
    [
        ("gender.en", "women", "men", "She lost her bag.", "He lost his bag."),
        ("gender.en", "women", "men", "I saw her and left; it is hers.", "I saw him and left; it is his."),
        ("gender.en", "women", "men", "Her SISTER helped him.", "His BROTHER helped her."),
        ("gender.en", "women", "men", "he hurt himself, the car is his.", "she hurt herself, the car is hers."),
        ("gender.en", "women", "men", "Emily thanked Mr Smith", "James thanked Mrs Smith"),
        ("gender.en", "women", "men", "they gave the chair to her", "they gave the chair to him"),
        ("religion.en", "Muslims", "Jews", "a Muslim who came", "a Jew who came"),
        ("religion.en", "Muslims", "Jews", "a Muslim neighbour", "a Jewish neighbour"),
        ("religion.en", "Muslims", "Jews", "MUSLIMS and jews", "JEWS and jews"),  # "jews" in a text with capitals
        ("religion.en", "Muslims", "Jews", "muslims and jews", "jews and muslims"),
        ("nationality.en", "Americans", "Turks", "An American and a Turkish man", "A Turk and an American man"),
        ("ethnicity.en", "Black people", "Asians", "a black man in black jeans", "an Asian man in black jeans"),
        ("age.en", "old people", "young people", "an old man, 9 years old", "a young man, 9 years old"),
        ("origin.en", "English", "Arabic", "Emily, not emily", "Fatima, not emily"),
        ("gender.zh", "女性", "男性", "她和其他人说吉他很好", "他和其他人说吉他很好"),
        ("gender.zh", "女性", "男性", "我妈妈说王先生是女司机", "我爸爸说王女士是男司机"),
        ("origin.zh", "汉", "藏", "建国买了两本", "扎西买了两本"),
        ("region.zh", "北方人", "南方人", "东北人和广东人", "广东人和东北人"),
    ],
)  # fmt: skip
def test_terms_are_exchanged_with_case_and_grammar(axes, axis, first, second, before, after):
    assert axes[axis].swap(before, first, second) == after


@pytest.mark.parametrize(
    "text",
    ["my sister company", "dear sir or madam", "brotherhoods", "theshe", "nail polish", "其他 吉他"],
)
def test_words_that_only_look_like_a_term_are_not_found(axes, text):
    mentions = [mention for axis in axes.values() for mention in axis.mentions(text)]
    assert [mention for mention in mentions if mention.cell.text not in ("sir", "madam")] == []


def test_a_second_swap_restores_the_text(axes):
    text = "She told her brother that the waitress saw him; Priya is a Muslim woman and an actress."
    gender, religion = axes["gender.en"], axes["religion.en"]
    assert gender.swap(gender.swap(text, "women", "men"), "men", "women") == text
    assert religion.swap(religion.swap(text, "Muslims", "Hindus"), "Hindus", "Muslims") == text


def test_a_term_without_a_counterpart_stays(tmp_path):
    (tmp_path / "home.en.csv").write_text("cats,dogs\nkitten,puppy\npurr,\n")
    axis = identity.load(tmp_path)["home.en"]
    assert axis.swap("a kitten, a purr", "cats", "dogs") == "a puppy, a purr"


def test_a_word_with_a_tilde_replaces_others_and_is_not_searched_for(tmp_path):
    (tmp_path / "hearing.en.csv").write_text("deaf,others\ndeaf,~hearing\n")
    axis = identity.load(tmp_path)["hearing.en"]
    assert axis.swap("deaf and hearing", "deaf", "others") == "hearing and hearing"


def test_no_term_stands_for_two_groups_in_one_role(axes):
    for axis in axes.values():
        group_by_term: dict[tuple[str, str], str] = {}
        for cell in (cell for cell in axis.cells if cell.searched):
            assert group_by_term.setdefault((cell.text.lower(), cell.role), cell.group) == cell.group, (
                axis.name,
                cell.text,
            )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.en.csv", "women,men\nshe\n", r"a\.en\.csv:2: expected 2 cells, as in the first line, found 1"),
        ("a.en.csv", "women\nshe\n", r"a\.en\.csv: expected two different groups"),
        ("a.en.csv", "women,men\nher|verb,his\n", r"a\.en\.csv:2: expected one of determiner.* after \|, found verb"),
        ("a.en.csv", "", r"a\.en\.csv: expected a line with the groups' names"),
        ("names.en.csv", "origin,women\nEnglish,Emily\n", r"names\.en\.csv: expected the columns origin and two"),
        ("readme.txt", "", r"expected lists such as gender\.en\.csv, found none"),
    ],
)
def test_a_faulty_list_is_named_with_its_line(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        identity.load(tmp_path)


def test_a_list_that_is_not_utf8_is_named(tmp_path):
    (tmp_path / "a.en.csv").write_bytes(b"women,men\nsh\xe9,he\n")
    with pytest.raises(UserError, match="expected UTF-8"):
        identity.load(tmp_path)
