"""What to do about findings: a line for each kind and each key, and none where nothing was found."""

from datetime import UTC, datetime

from pipeline.policies.monitoring.advice import list_advice
from pipeline.policies.monitoring.finding import TrafficFinding, TrafficLook

NOW = datetime(2026, 12, 1, tzinfo=UTC)


def look(*found: tuple[str, str]) -> TrafficLook:
    """A look that found these, each with its key, and nothing else."""
    findings = [TrafficFinding(name, "found", "why", key=key) for name, key in found]
    nothing = TrafficFinding("abstained" if ("abstained", "") not in found else "texts", "none", "why")
    return TrafficLook("3", "d" * 64, NOW, NOW, 100, 100, 1, 0, (*findings, nothing), ())


def test_other_texts_are_to_be_learned_and_the_folder_is_named() -> None:
    (line,) = list_advice(look(("texts", ""), ("answers", ""), ("accuracy", "")), "inbox/new")
    assert line.startswith("texts, answers, accuracy: put texts like these into inbox/new and run `gleaner retrain`")
    assert "`gleaner suggest 50` chooses which to label" in line
    (without,) = list_advice(look(("texts", "")), None)
    assert "put texts like these into the folder of refresh.inbox, which is null and has to be set" in without


def test_each_key_that_misuses_a_model_has_a_line_with_its_name() -> None:
    lines = list_advice(look(("near_copies", "robot"), ("flood", "robot"), ("near_border", "shop")), "inbox/texts")
    assert [line.split(";")[0] for line in lines] == [
        "near copies (robot), flood (robot): ask whoever has the key",
        "near border (shop): ask whoever has the key",
    ]
    assert "`gleaner keys revoke robot` stops it" in lines[0] and "revoke shop" in lines[1]
    (open_to_all,) = list_advice(look(("flood", "anyone")), "inbox/texts")
    assert "serve without `--no-auth`" in open_to_all and "revoke anyone" not in open_to_all


def test_abstentions_and_labels_of_people_have_their_own_and_nothing_found_has_none() -> None:
    feedback, abstained = list_advice(look(("abstained", ""), ("feedback", "")), "inbox/texts")
    assert feedback.startswith("feedback: run `gleaner retrain`") and "candidates for new classes" in abstained
    assert list_advice(look(), "inbox/texts") == []
