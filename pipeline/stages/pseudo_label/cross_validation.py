"""Exams on labels that a teacher has not seen: what it may learn from, what it is asked, and what it answers."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pipeline.core.params import PseudoLabel
from pipeline.core.stage import progress
from pipeline.stages.pseudo_label.rounds import Round, TeacherEstimate, first, label_in_rounds
from pipeline.stages.pseudo_label.teacher import Seeds, Texts
from pipeline.stages.pseudo_label.views import See, View


@dataclass(frozen=True)
class Exam:
    """A teacher's lesson and its questions: what it may learn from, and rows whose labels it has not seen."""

    seeds: Seeds
    view: View
    asked: Texts
    answers: np.ndarray  # (asked rows,) class numbers
    rows: np.ndarray  # (asked rows,) positions, as in Judgement

    def without_names(self) -> "Exam":
        """The same questions to a teacher that hears no name of a class, though a fine-tuned encoder has."""
        return replace(self, seeds=self.seeds.without_names())

    def names_alone(self) -> "Exam":
        """The same questions to a teacher that hears nothing else, though a fine-tuned encoder has."""
        return replace(self, seeds=self.seeds.names_alone())


Run = tuple[Texts, list[Round]]  # the questions of an exam, and the rounds of teachers that answer them


def chosen(seeds: pd.DataFrame, view: View, kept: np.ndarray) -> Seeds:
    """The kept seeds, by position, as a teacher sees them; ``seeds`` has a column ``target``, the class number."""
    rows = seeds.iloc[kept]
    return Seeds(view.seeds.pick(kept), rows["target"].to_numpy(), rows["weight"].to_numpy(), named(rows))


def everything(seeds: pd.DataFrame, see: See) -> tuple[Seeds, View]:
    """All seeds and the view of whoever learns from them; those of no weight shape no vector."""
    view = see(np.flatnonzero(seeds["weight"].gt(0)))
    return chosen(seeds, view, np.arange(len(seeds))), view


def named(seeds: pd.DataFrame) -> np.ndarray:
    """Which seeds are names of classes, (seeds,)."""
    return seeds["origin"].eq("class_name").to_numpy()


def silenced(seeds: pd.DataFrame) -> pd.DataFrame:
    """The same seeds, the names of the classes without weight."""
    return seeds.assign(weight=seeds["weight"].mask(named(seeds), 0.0))


def folds(seeds: pd.DataFrame, gold: np.ndarray, see: See, params: PseudoLabel) -> Iterator[Exam]:
    """Ask for each gold row a teacher that saw neither the row nor what derives from it.

    ``gold`` holds the positions of the gold rows among the seeds. The pool is labelled anew in each fold, so that
    nothing of a held-out label reaches the teacher through it; only the mix of classes is that of all gold rows.
    """
    labels, sources = seeds["target"].to_numpy(), seeds["source_id"].to_numpy()
    fold_of = stratified_folds(labels[gold], params.folds, params.seed)
    for fold in range(params.folds):
        held = gold[fold_of == fold]
        kept = np.flatnonzero(~np.isin(sources, sources[held]))
        # Names alone would be no teacher once they are left out.
        taught = (seeds["weight"].to_numpy()[kept] > 0) & ~named(seeds)[kept]
        if len(held) and taught.any():
            view = see(kept)
            lesson = chosen(seeds, view, kept)
            yield Exam(lesson, view.among(kept), view.seeds.pick(held), labels[held], held)


def stratified_folds(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Fold number of each row: every class is spread over the folds as evenly as it goes, from a drawn start."""
    random = np.random.default_rng(seed)
    fold_of = np.zeros(len(labels), dtype=int)
    for label in np.unique(labels):
        mine = random.permutation(np.flatnonzero(labels == label))
        fold_of[mine] = (random.integers(folds) + np.arange(len(mine))) % folds
    return fold_of


def starts(exams: list[Exam], classes: int, params: PseudoLabel, part: float = 0.0) -> list[Run]:
    """The first teacher of each exam alone; with a ``part`` it has learned the words too."""
    return [(exam.asked, [first(exam.seeds, exam.view.pool, classes, params, part)]) for exam in exams]


def sit(exams: list[Exam], classes: int, belief: TeacherEstimate, params: PseudoLabel) -> list[Run]:
    """The rounds of each exam."""
    return [
        (exam.asked, label_in_rounds(exam.seeds, exam.view.pool, exam.view.spread, classes, belief, params))
        for exam in progress(exams, "folds", total=len(exams))
    ]


def answers(runs: list[Run], number: int, part: float) -> np.ndarray:
    """Logits of the teachers of one round on all questions, (questions, classes), the words having this part."""
    return np.concatenate([rounds[number].teacher.logits(asked, part) for asked, rounds in runs])
