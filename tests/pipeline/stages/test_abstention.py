"""Abstention: texts of no class score higher than those of known classes, and the threshold keeps its promise."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.errors import UserError
from pipeline.models.abstention import PARTS, Abstention, AbstentionSettings, load_abstention, save_abstention
from pipeline.stages.export.abstention import conformal_threshold, parts_in_folds
from pipeline.stages.export.abstention_fit import Known, fit_abstention, make_pool, weigh_parts
from pipeline.stages.export.left_out_classes import answered_of_left_out

SETTINGS = AbstentionSettings(method="graph", threshold=0.0, coverage=0.9)
WIDTH = 24


def texts(centres: np.ndarray, count: int, seed: int, noise: float = 0.12) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors around each centre, (centres * count, width), and the number of each one's centre."""
    rng = np.random.default_rng(seed)
    numbers = np.repeat(np.arange(len(centres)), count)
    vectors = centres[numbers] + noise * rng.standard_normal((len(numbers), centres.shape[1]))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), numbers


def directions(count: int, seed: int = 0) -> np.ndarray:
    """Random unit vectors, (count, width)."""
    drawn = np.random.default_rng(seed).standard_normal((count, WIDTH))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def auc(inside: np.ndarray, outside: np.ndarray) -> float:
    """The share of pairs in which the text of no class scores higher."""
    return float((outside[:, None] > inside[None]).mean())


@pytest.fixture(scope="module")
def centres() -> np.ndarray:
    """Four known classes, two classes that nobody labelled, and one kind of text that no pool holds."""
    return directions(7)


@pytest.fixture(scope="module")
def fitted(centres: np.ndarray) -> Abstention:
    return fit(centres, 6)


def fit(centres: np.ndarray, in_pool: int) -> Abstention:
    """Fitted on 6 texts of each of four classes and a pool of the first centres; the parts are weighed in folds."""
    pool = make_pool(texts(centres[:in_pool], 100, seed=1)[0], seed=0)
    known = Known(*texts(centres[:4], 6, seed=2))
    model = fit_abstention(known, pool, SETTINGS)
    sources = np.arange(len(known.classes)).astype(str)
    weights = weigh_parts(parts_in_folds(known, sources, pool, SETTINGS, seed=0), model.parts(pool.vectors))
    return replace(model, weights=weights)


def test_unlabelled_classes_of_the_pool_and_texts_unlike_it_score_higher(fitted, centres):
    known, unlabelled, foreign = (texts(part, 60, seed=3)[0] for part in (centres[:4], centres[4:6], centres[6:]))
    scores = fitted.scores(known)
    assert scores.shape == (240,) and np.isfinite(scores).all()
    assert auc(scores, fitted.scores(unlabelled)) > 0.97
    assert auc(scores, fitted.scores(foreign)) > 0.97


def test_isolation_tells_a_class_that_is_near_a_known_one(centres):
    """A class beside a known one is a cluster that no walk enters, however near it is."""
    near = centres[0] + 0.45 * centres[5]
    pool_vectors, numbers = texts(np.stack([*centres[:4], near]), 150, seed=4)
    held_out = np.arange(len(numbers)) % 3 == 0
    pool = make_pool(pool_vectors[~held_out], seed=0)
    model = fit_abstention(Known(*texts(centres[:4], 2, seed=5)), pool, SETTINGS)
    parts = model.parts(pool_vectors[held_out])[:, PARTS.index("isolation")]
    inside, outside = parts[numbers[held_out] == 0], parts[numbers[held_out] == 4]
    assert auc(inside, outside) > 0.9


def test_without_a_pool_the_distances_alone_decide(centres):
    empty = make_pool(np.zeros((0, WIDTH), dtype=np.float32), seed=0)
    model = fit_abstention(Known(*texts(centres[:4], 5, seed=2)), empty, SETTINGS)
    assert len(model.prototypes) == 0
    assert auc(model.scores(texts(centres[:4], 40, 3)[0]), model.scores(texts(centres[6:], 40, 3)[0])) > 0.97


@pytest.mark.parametrize("classes", [1, 2])
def test_the_fewest_texts_and_classes_give_finite_scores(classes):
    known = Known(*texts(directions(classes), 1, seed=0))
    model = fit_abstention(known, make_pool(texts(directions(3), 2, seed=1)[0], seed=0), SETTINGS)
    assert np.isfinite(model.scores(texts(directions(5), 4, seed=2)[0])).all()


def test_fitting_twice_gives_the_same_arrays(fitted, centres):
    again, pool = fit(centres, 6), texts(centres[:6], 100, seed=1)[0]
    np.testing.assert_array_equal(fitted.prototypes, again.prototypes)
    np.testing.assert_array_equal(fitted.scores(pool), again.scores(pool))


def test_isolation_counts_more_where_the_pool_holds_texts_of_no_class(fitted, centres):
    """Beside the distance, so that the spread of the parts, which differs, does not matter."""
    clean = fit(centres, 4)
    ratios = [model.weights[0] / model.weights[2] for model in (fitted, clean)]
    assert ratios[0] > 2 * ratios[1]


def test_a_bundle_holds_no_vector_of_a_single_text_of_the_pool(fitted, centres):
    pool = texts(centres[:6], 100, seed=1)[0]
    assert len(fitted.prototypes) <= len(pool) / 4


@pytest.mark.parametrize("rows", [20, 99, 500])
def test_in_scope_texts_keep_their_label_in_the_promised_share(rows):
    """Over many draws of held-out rows, the mean coverage of new rows is at least the wanted one, and not far above."""
    rng, kept = np.random.default_rng(0), []
    for _ in range(400):
        threshold = conformal_threshold(rng.gamma(2.0, size=rows), 0.9)
        assert threshold.coverage == 0.9 and not threshold.note
        kept.append(float((rng.gamma(2.0, size=400) <= threshold.value).mean()))
    assert 0.9 - 0.01 < np.mean(kept) < 0.9 + 1 / (rows + 1) + 0.01


def test_too_few_rows_promise_what_they_can_and_say_so():
    threshold = conformal_threshold(np.array([3.0, 1.0, 2.0]), 0.95)
    assert threshold.value == 3.0 and threshold.coverage == pytest.approx(3 / 4)
    assert threshold.note == "3 held-out rows promise a coverage of 0.750 at most, 0.95 takes 19 rows"
    assert conformal_threshold(np.arange(19.0), 0.95).note == ""


def test_gold_rows_are_scored_by_what_was_fitted_without_them(centres):
    """A gold row far from the others of its class is no proof of itself: its copy, of the same source, is held out."""
    vectors, numbers = texts(centres[:4], 5, seed=2)
    odd = texts(centres[6:], 1, seed=9)[0]
    known = Known(np.concatenate([vectors, odd, odd]), np.append(numbers, [0, 0]))
    sources = np.array([*map(str, range(len(numbers))), "odd", "odd"])
    pool = make_pool(texts(centres[:6], 50, seed=1)[0], seed=0)
    distances = parts_in_folds(known, sources, pool, SETTINGS, seed=0)[:, PARTS.index("distance")]
    itself = fit_abstention(known, pool, SETTINGS).parts(odd)[0, PARTS.index("distance")]
    assert distances[-1] == distances[-2] > distances[:-2].max() and distances[-1] > itself


def test_left_out_classes_are_refused_where_they_differ_and_answered_where_they_do_not(centres):
    """Six known classes that lie apart, and six that are one in truth; the pool has texts of all."""
    shares = []
    for apart in (True, False):
        own = centres[:6] if apart else np.tile(centres[:1], (6, 1))
        pool = make_pool(texts(own, 60, seed=1)[0], seed=0)
        known = Known(*texts(own, 8, seed=2))
        rows, sources = len(known.classes), np.arange(48).astype(str)
        draft = fit_abstention(known, pool, SETTINGS)
        held_out = parts_in_folds(known, sources, pool, SETTINGS, seed=0)
        weights = weigh_parts(held_out, draft.parts(pool.vectors))
        threshold = conformal_threshold(held_out @ weights, 0.9).value
        settings = SETTINGS.model_copy(update={"threshold": threshold})
        fitted = replace(draft, weights=weights, settings=settings)
        shares.append(answered_of_left_out(fitted, known, rows, pool, seed=0))
    assert shares[0] < 0.1 and shares[1] > 0.8


def test_two_classes_leave_nothing_to_leave_out(centres):
    known = Known(*texts(centres[:2], 5, seed=2))
    pool = make_pool(texts(centres[:4], 20, seed=1)[0], seed=0)
    assert answered_of_left_out(fit_abstention(known, pool, SETTINGS), known, 10, pool, seed=0) is None


def test_what_is_saved_is_loaded_and_a_misfit_is_refused(fitted, tmp_path):
    save_abstention(fitted, tmp_path)
    loaded = load_abstention(tmp_path, SETTINGS, WIDTH)
    vectors = texts(directions(3), 5, seed=1)[0]
    np.testing.assert_array_equal(loaded.scores(vectors), fitted.scores(vectors))
    assert load_abstention(tmp_path, None, WIDTH) is None
    with pytest.raises(UserError, match="abstention.safetensors: expected prototypes as finite float32 numbers"):
        load_abstention(tmp_path, SETTINGS, WIDTH + 1)
    (tmp_path / "abstention.safetensors").write_bytes(b"no tensors")
    with pytest.raises(UserError, match="expected safetensors, found something else"):
        load_abstention(tmp_path, SETTINGS, WIDTH)
