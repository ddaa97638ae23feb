"""Answers: labels, confidences and ids of texts, what is kept of them, and the shadow's opinion."""

import asyncio
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from pipeline.models.answers import UNLIKE_EVERY_CLASS
from pipeline.policies.monitoring.traffic import NO_LABEL
from pipeline.serving import metrics
from pipeline.serving.admission import Caller, require_limits
from pipeline.serving.bodies import LabelScore, PredictAnswer, PredictBody, Prediction
from pipeline.serving.errors import ApiError
from pipeline.serving.loaded import LoadedVersion
from pipeline.serving.recent_texts import AnsweredText
from pipeline.serving.service import Service, masks_pii
from pipeline.serving.text_numbers import number_texts
from pipeline.serving.traffic_files import AnsweredTexts, top_two
from pipeline.sources.pii_masking import mask_texts


@dataclass(frozen=True)
class Scored:
    """Texts with what one version computed of them."""

    version: LoadedVersion
    computed: np.ndarray  # (texts, labels + 1 + width) float64, as `LoadedVersion.compute` gives it

    @property
    def probabilities(self) -> np.ndarray:
        """Probability of each label, (texts, labels), float64."""
        return self.computed[:, : len(self.version.labels)]

    @property
    def vectors(self) -> np.ndarray:
        """The vectors of the texts, (texts, width), float64; of width 0 where they are not loaded."""
        return self.computed[:, len(self.version.labels) + 1 :]

    def refused(self, abstain: bool | None) -> list[bool]:
        """Whether each text gets no label; ``abstain`` False leaves every text its label."""
        if abstain is False:
            return [False] * len(self.computed)
        refused: list[bool] = self.version.refuses(self.computed[:, len(self.version.labels)]).tolist()
        return refused


async def score(service: Service, texts: list[str], timeout: float | None = None) -> Scored:
    """The probabilities of texts by the version that is served when they enter the queue."""
    version = service.version()
    timeout = service.params.serve.limits.timeout_seconds if timeout is None else timeout
    return Scored(version, await service.batcher.compute(version, texts, timeout))


async def predict(service: Service, caller: Caller, body: PredictBody, timeout: float) -> PredictAnswer:
    """The answer to a request. Raises ApiError if it asks for too much, or comes too late."""
    require_limits(service, body.texts)
    scored = await score(service, body.texts, timeout)
    predictions = to_predictions(service, scored, body.top_k, body.abstain)
    await remember(service, caller, body.texts, predictions, scored)
    ask_shadow(service, body.texts, predictions, scored.version)
    bundle = scored.version.bundle
    return PredictAnswer(version=bundle.number, model=bundle.model, predictions=predictions)


def to_predictions(
    service: Service, scored: Scored, top_k: int | None = None, abstain: bool | None = None
) -> list[Prediction]:
    """The predictions of scored texts, each with an id of its own."""
    labels = scored.version.labels
    ids = service.new_ids(len(scored.probabilities))
    best = scored.probabilities.argmax(axis=1).tolist()
    confidences = scored.probabilities.max(axis=1).tolist()
    tops = top_labels(scored, top_k) if top_k else [None] * len(ids)
    return [
        Prediction.model_construct(
            id=id_,
            label=None if refuse else labels[index],
            confidence=confidence,
            abstained=refuse,
            reason=UNLIKE_EVERY_CLASS if refuse else None,
            top=top,
        )
        for id_, index, confidence, top, refuse in zip(
            ids, best, confidences, tops, scored.refused(abstain), strict=True
        )
    ]


def top_labels(scored: Scored, count: int) -> list[list[LabelScore] | None]:
    """The ``count`` most probable labels of each text, the first one first."""
    order = np.argsort(-scored.probabilities, axis=1, kind="stable")[:, :count]
    labels = scored.version.labels
    return [
        [LabelScore.model_construct(label=labels[i], confidence=float(row[i])) for i in columns]
        for row, columns in zip(scored.probabilities, order.tolist(), strict=True)
    ]


async def remember(
    service: Service, caller: Caller, texts: list[str], predictions: list[Prediction], scored: Scored
) -> None:
    """Count the answers, keep their numbers, and the texts, PII masked, for corrections that name a prediction."""
    if service.traffic.folder is not None:
        service.traffic.add(to_numbers(service, caller, texts, predictions, scored))
    number = scored.version.bundle.number
    for prediction in predictions:
        metrics.ANSWERS.labels(str(number), prediction.label or NO_LABEL).inc()
    if service.recent.count:
        for text, prediction in zip(await masked(service, texts), predictions, strict=True):
            service.recent.add(prediction.id, AnsweredText(text, number, caller.key, prediction.label or NO_LABEL))


def to_numbers(
    service: Service, caller: Caller, texts: list[str], predictions: list[Prediction], scored: Scored
) -> AnsweredTexts:
    """What is kept of the answers to one request: numbers, ids and labels.

    No label is kept where the version abstains, also where the request wanted one: the training's answers are alike.
    """
    labels = scored.version.labels
    bundle = scored.version.bundle
    confidences, margins = top_two(scored.probabilities)
    vectors = scored.vectors if service.params.monitor.keep.vectors else scored.vectors[:, :0]
    text_numbers = number_texts(texts, service.traffic.secret) if vectors.shape[1] else []
    return AnsweredTexts(
        datetime.now(UTC),
        caller.key,
        bundle.number,
        bundle.digest,
        1000 * (time.monotonic() - caller.began),
        [prediction.id for prediction in predictions],
        [
            None if refuse else labels[index]
            for index, refuse in zip(scored.probabilities.argmax(axis=1).tolist(), scored.refused(None), strict=True)
        ],
        confidences,
        margins,
        vectors.astype(np.float16),
        text_numbers,
    )


async def masked(service: Service, texts: list[str]) -> list[str]:
    """The texts as they may be kept: with their PII masked, unless both params that mask it are off."""
    ingest = service.params.ingest
    if not masks_pii(service.params):
        return texts
    if ingest.presidio.entities:  # takes milliseconds a text, in which other requests are answered
        return await asyncio.to_thread(mask_texts, texts, ingest)
    return mask_texts(texts, ingest)


def ask_shadow(service: Service, texts: list[str], predictions: list[Prediction], version: LoadedVersion) -> None:
    """Let the shadow answer a share of the texts, too, after the answer, and only while there is room in the queue."""
    share = service.params.serve.shadow.share
    shadow = service.shadow
    if shadow is None or len(service.batcher.queue) > service.batcher.queue_texts // 2:
        return
    chosen = [row for row in range(len(texts)) if random.random() < share]
    if chosen:
        labels = [predictions[row].label or NO_LABEL for row in chosen]
        work = compare_with_shadow(service, shadow, version, [texts[row] for row in chosen], labels)
        service.in_background(asyncio.create_task(work))


async def compare_with_shadow(
    service: Service, shadow: LoadedVersion, version: LoadedVersion, texts: list[str], labels: list[str]
) -> None:
    """Count where the shadow's label is another than the one that was returned. A full queue leaves texts out."""
    try:
        computed = await service.batcher.compute(shadow, texts, service.params.serve.limits.timeout_seconds)
    except ApiError:
        return
    names = (str(version.bundle.number), str(shadow.bundle.number))
    metrics.SHADOW_TEXTS.labels(*names).inc(len(texts))
    opinion = Scored(shadow, computed)
    best = opinion.probabilities.argmax(axis=1).tolist()
    for label, index, refuse in zip(labels, best, opinion.refused(None), strict=True):
        if (NO_LABEL if refuse else shadow.labels[index]) != label:
            metrics.DISAGREEMENTS.labels(*names, label).inc()


def time_left(began: float, timeout: float) -> float:
    """Seconds that are left of ``timeout`` since ``began``, by the monotonic clock; a little at least."""
    return max(0.001, timeout - (time.monotonic() - began))
