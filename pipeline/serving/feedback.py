"""Corrections over HTTP: checked, masked, and stored in the inbox of the next night before they are confirmed."""

import asyncio
import re
from datetime import UTC, datetime

from pipeline.serving import metrics
from pipeline.serving.admission import Caller, require_limits
from pipeline.serving.answering import masked
from pipeline.serving.bodies import FeedbackAnswer, FeedbackBody
from pipeline.serving.corrections import store_correction
from pipeline.serving.errors import ApiError
from pipeline.serving.service import Service
from pipeline.serving.traffic_files import GivenLabel

PREDICTION_ID = re.compile(r"[0-9a-f]{20}-[0-9]{1,6}")  # as `Service.new_ids` makes them


async def take(service: Service, caller: Caller, body: FeedbackBody) -> FeedbackAnswer:
    """Store a correction durably, and confirm it. Raises ApiError if it is unusable or cannot be stored."""
    folder, feedback = service.inbox, service.params.feedback
    if folder is None:
        raise ApiError(503, "no_inbox", "feedback.path: expected a folder for corrections, found none; set it")
    text, version = await find_text(service, caller, body)
    require_limits(service, [text])
    labels = service.version().labels
    if body.label not in labels:
        raise ApiError(422, "unknown_label", "label: expected one of /v1/labels, found another")
    known = service.handover.versions
    if version is not None and known is not None and version not in known:
        raise ApiError(422, "unknown_version", "version: expected a registered version, found another")
    try:
        await asyncio.to_thread(store_correction, folder, feedback, caller.key, text, body.label, version)
    except OSError as error:
        raise ApiError(503, "not_stored", f"expected a disk that takes it, found {type(error).__name__}", 5) from None
    if body.id is not None and PREDICTION_ID.fullmatch(body.id):  # anything else might hold a text
        service.traffic.add_label(GivenLabel(datetime.now(UTC), caller.key, body.id, body.label))
    metrics.CORRECTIONS.labels(str(version)).inc()
    return FeedbackAnswer(stored=True, label=body.label, version=version)


async def find_text(service: Service, caller: Caller, body: FeedbackBody) -> tuple[str, str | None]:
    """The text that is corrected, PII masked, and the version that answered it.

    Raises ApiError if neither a text is given nor an id that the service remembers of this key, or if they contradict
    each other.
    """
    if body.id is None and body.text is None:
        raise ApiError(422, "invalid", "the body: expected text or id, found neither")
    answered = service.recent.find(body.id, caller.key) if body.id is not None else None
    if body.text is not None:
        (text,) = await masked(service, [body.text])
        if answered is not None and answered.text != text:
            raise ApiError(422, "other_text", "text: expected that of the prediction id, or none, found another")
        return text, body.version or (answered.version if answered else None)
    if answered is None:
        raise ApiError(410, "forgotten", "id: expected a prediction that is remembered, found none; send its text, too")
    return answered.text, answered.version
