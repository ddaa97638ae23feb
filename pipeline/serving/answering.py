"""Answers: labels, confidences and ids of texts, what is kept of them, and the shadow's opinion."""

import asyncio
import random
import time
from dataclasses import dataclass

import numpy as np

from pipeline.serving import metrics
from pipeline.serving.admission import Caller, require_limits
from pipeline.serving.bodies import LabelScore, PredictAnswer, PredictBody, Prediction
from pipeline.serving.errors import ApiError
from pipeline.serving.loaded import LoadedVersion
from pipeline.serving.recent_texts import AnsweredText
from pipeline.serving.service import Service
from pipeline.sources.pii_masking import mask_pii


@dataclass(frozen=True)
class Scored:
    """Texts with the probabilities of one version."""

    version: LoadedVersion
    probabilities: np.ndarray  # (texts, labels) float32


async def score(service: Service, texts: list[str], timeout: float | None = None) -> Scored:
    """The probabilities of texts by the version that is served when they enter the queue."""
    version = service.version()
    timeout = service.params.serve.limits.timeout_seconds if timeout is None else timeout
    return Scored(version, await service.batcher.compute(version, texts, timeout))


async def predict(service: Service, caller: Caller, body: PredictBody, timeout: float) -> PredictAnswer:
    """The answer to a request. Raises ApiError if it asks for too much, or comes too late."""
    require_limits(service, body.texts)
    scored = await score(service, body.texts, timeout)
    predictions = to_predictions(service, scored, body.top_k)
    remember(service, caller, body.texts, predictions, scored.version)
    ask_shadow(service, body.texts, predictions, scored.version)
    bundle = scored.version.bundle
    return PredictAnswer(version=bundle.number, model=bundle.model, predictions=predictions)


def to_predictions(service: Service, scored: Scored, top_k: int | None = None) -> list[Prediction]:
    """The predictions of scored texts, each with an id of its own."""
    labels = scored.version.labels
    ids = service.new_ids(len(scored.probabilities))
    best = scored.probabilities.argmax(axis=1).tolist()
    confidences = scored.probabilities.max(axis=1).tolist()
    tops = top_labels(scored, top_k) if top_k else [None] * len(ids)
    return [
        Prediction.model_construct(
            id=id_, label=labels[index], confidence=confidence, abstained=False, reason=None, top=top
        )
        for id_, index, confidence, top in zip(ids, best, confidences, tops, strict=True)
    ]


def top_labels(scored: Scored, count: int) -> list[list[LabelScore] | None]:
    """The ``count`` most probable labels of each text, the first one first."""
    order = np.argsort(-scored.probabilities, axis=1, kind="stable")[:, :count]
    labels = scored.version.labels
    return [
        [LabelScore.model_construct(label=labels[i], confidence=float(row[i])) for i in columns]
        for row, columns in zip(scored.probabilities, order.tolist(), strict=True)
    ]


def remember(
    service: Service, caller: Caller, texts: list[str], predictions: list[Prediction], version: LoadedVersion
) -> None:
    """Count the answers, and keep the texts, PII masked, for corrections that name a prediction."""
    number = version.bundle.number
    for text, prediction in zip(texts, predictions, strict=True):
        metrics.ANSWERS.labels(str(number), str(prediction.label)).inc()
        if service.recent.count:
            answered = AnsweredText(masked(service, text), number, caller.key, str(prediction.label))
            service.recent.add(prediction.id, answered)


def masked(service: Service, text: str) -> str:
    """The text as it may be kept: with its PII masked, unless both params that mask it are off."""
    serve, ingest = service.params.serve, service.params.ingest
    return mask_pii(text, ingest.phone_region) if serve.mask_pii or ingest.mask_pii else text


def ask_shadow(service: Service, texts: list[str], predictions: list[Prediction], version: LoadedVersion) -> None:
    """Let the shadow answer a share of the texts, too, after the answer, and only while there is room in the queue."""
    share = service.params.serve.shadow.share
    shadow = service.shadow
    if shadow is None or len(service.batcher.queue) > service.batcher.queue_texts // 2:
        return
    chosen = [row for row in range(len(texts)) if random.random() < share]
    if chosen:
        labels = [str(predictions[row].label) for row in chosen]
        work = compare_with_shadow(service, shadow, version, [texts[row] for row in chosen], labels)
        service.in_background(asyncio.create_task(work))


async def compare_with_shadow(
    service: Service, shadow: LoadedVersion, version: LoadedVersion, texts: list[str], labels: list[str]
) -> None:
    """Count where the shadow's label is another than the one that was returned. A full queue leaves texts out."""
    try:
        probabilities = await service.batcher.compute(shadow, texts, service.params.serve.limits.timeout_seconds)
    except ApiError:
        return
    names = (str(version.bundle.number), str(shadow.bundle.number))
    metrics.SHADOW_TEXTS.labels(*names).inc(len(texts))
    for label, index in zip(labels, probabilities.argmax(axis=1).tolist(), strict=True):
        if shadow.labels[index] != label:
            metrics.DISAGREEMENTS.labels(*names, label).inc()


def time_left(began: float, timeout: float) -> float:
    """Seconds that are left of ``timeout`` since ``began``, by the monotonic clock; a little at least."""
    return max(0.001, timeout - (time.monotonic() - began))
