"""Stages run outside DVC: changes of params as text, and what a stage prints on its vectors."""

from pipeline.experiments.stage_runner import EMBED_LINE, parse_changes, share_embeddings


def test_a_comma_inside_a_list_separates_no_changes():
    assert parse_changes("a.b=[1, 2],c.d_e=x") == {"a.b": [1, 2], "c.d_e": "x"}


def test_the_numbers_of_vectors_that_a_stage_needed_are_read_from_its_log():
    log = "embed: 30 texts, 10 of them known\nembed: 1/2 [00:01<00:01]\nembed: 5 texts, 5 of them known\n"
    assert EMBED_LINE.findall(log) == [("30", "10"), ("5", "5")]


def test_a_root_that_another_machine_used_gets_the_store_of_this_one(tmp_path):
    for name in ("elsewhere", "here", "here"):
        share_embeddings(tmp_path / "root", tmp_path / name)
        assert (tmp_path / "root" / "data" / "scratch" / "embeddings").resolve() == tmp_path / name
