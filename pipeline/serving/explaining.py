"""Explanations: the words that made the most probable label, by LIME, which needs nothing but the model's answers."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline import attribution
from pipeline.attribution.words import word_spans
from pipeline.serving.admission import Caller, require_limits
from pipeline.serving.answering import Scored, remember, to_predictions
from pipeline.serving.bodies import ExplainAnswer, ExplainBody, Explanation, WordShare
from pipeline.serving.errors import ApiError
from pipeline.serving.loaded import LoadedVersion
from pipeline.serving.service import Service

METHOD = "lime"
SEED = 0  # of LIME's variants: the same text always gets the same explanation
WAITING = 8  # requests that may wait while one is explained: each takes a hundred answers
Words = list[WordShare]


class Explainer:
    """Explains one request at a time, beside the batches."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="explain")
        self.waiting = 0

    async def explain(self, service: Service, caller: Caller, body: ExplainBody, timeout: float) -> ExplainAnswer:
        """The explained answers. Raises ApiError if too many wait, or if it takes too long."""
        require_limits(service, body.texts, service.params.serve.limits.explained_texts)
        if self.waiting >= WAITING:
            raise ApiError(429, "queue_full", "expected room among the explanations, found none; try again later", 2)
        version = service.version()
        settings = attribution.Settings(0, "mask", service.params.explain.lime_samples, SEED)
        self.waiting += 1
        work = asyncio.get_running_loop().run_in_executor(self.pool, explain_texts, version, body.texts, settings)
        work.add_done_callback(self.done)
        try:
            scored, words = await asyncio.wait_for(work, timeout)
        except TimeoutError:
            raise ApiError(504, "deadline", f"expected an answer within {timeout:g} s, found none; try again") from None
        predictions = to_predictions(service, scored)
        await remember(service, caller, body.texts, predictions, scored)
        best = [version.labels[index] for index in scored.probabilities.argmax(axis=1)]
        explanations = [
            Explanation(**prediction.model_dump(), explained_label=label, words=found)
            for prediction, label, found in zip(predictions, best, words, strict=True)
        ]
        bundle = version.bundle
        return ExplainAnswer(version=bundle.number, model=bundle.model, method=METHOD, explanations=explanations)

    def done(self, _: object) -> None:
        """Make room for the next request."""
        self.waiting -= 1


def explain_texts(
    version: LoadedVersion, texts: list[str], settings: attribution.Settings
) -> tuple[Scored, list[Words]]:
    """The probabilities of the texts, and the shares of the words of each."""
    served = version.classifier
    folder = Path(version.bundle.folder)
    model = attribution.Model(folder, served.labels, served.temperature, served.logits, served.answers, None)
    scored = Scored(version, version.compute(version.tokenise(texts)))
    directions = attribution.score_directions(len(served.labels), scored.probabilities.argmax(axis=1))
    attributions = attribution.attribute(METHOD, model, texts, directions, settings)
    return scored, [
        [
            WordShare(word=text[start:end], start=start, end=end, share=round(float(share), 6))
            for (start, end), share in zip(word_spans(text), found.shares().tolist(), strict=True)
        ]
        for text, found in zip(texts, attributions, strict=True)
    ]
