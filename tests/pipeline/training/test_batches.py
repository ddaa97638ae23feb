"""The schedule of batches: which rows are in it, how often, and beside which others."""

from pipeline.training.batches import Batch, schedule_batches
from tests.support.tiny_training import Change, tiny_params


def flat(batches: list[Batch]) -> list[int]:
    return [row for batch in batches for _, row in batch]


def test_an_epoch_holds_each_row_once_and_a_fraction_of_one_only_a_part(params: Change) -> None:
    rows, lengths = list(range(5, 50)), [i % 9 for i in range(50)]
    assert sorted(flat(schedule_batches(rows, lengths, tiny_params(params, epochs=1).pretrain))) == rows
    half = schedule_batches(rows, lengths, tiny_params(params, epochs=0.5).pretrain)
    assert len(half) == 12 and len(set(flat(half))) == len(flat(half))
    assert sorted(flat(schedule_batches(rows, lengths, tiny_params(params, epochs=2).pretrain))) == sorted(rows * 2)


def test_no_row_is_twice_in_a_batch(params: Change) -> None:
    batches = schedule_batches(list(range(11)), [3] * 11, tiny_params(params, epochs=30, batch_size=4).pretrain)
    assert all(len({row for _, row in batch}) == len(batch) for batch in batches)


def test_rows_of_like_length_share_a_batch(params: Change) -> None:
    lengths = [i % 40 for i in range(400)]
    batches = schedule_batches(list(range(400)), lengths, tiny_params(params, epochs=1, batch_size=8).pretrain)
    padded = sum(max(lengths[row] for _, row in batch) * len(batch) for batch in batches)
    assert padded < 1.05 * sum(lengths)


def test_max_steps_counts_steps_of_accumulated_batches(params: Change) -> None:
    few = tiny_params(params, max_steps=3, gradient_accumulation=2).pretrain
    assert len(schedule_batches(list(range(40)), [1] * 40, few)) == 6
