"""The state of one worker: the version that answers, the queue, the keys, and what is kept of requests."""

import asyncio
import contextlib
import os
import secrets
import sys
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.core.printable import print_note
from pipeline.serving import metrics
from pipeline.serving.batching import Batcher
from pipeline.serving.corrections import inbox_folder
from pipeline.serving.errors import ApiError
from pipeline.serving.handover import Handover, NamedBundle, read_handover
from pipeline.serving.keys import Keyring, keys_file
from pipeline.serving.loaded import LoadedVersion, load_version
from pipeline.serving.rate_limit import RateLimit
from pipeline.serving.recent_texts import RecentTexts
from pipeline.serving.traffic_log import TrafficLog
from pipeline.sources.pii_masking import check_masks

LOOK_SECONDS = 0.1  # between two looks at the file of the handover
RETRY_LOADS = 20  # looks after which a bundle that could not be loaded is tried again


@dataclass(frozen=True)
class Settings:
    """What the supervisor tells a worker."""

    root: Path
    handover: Path  # the file that names what to serve
    is_open: bool = False  # no keys are asked


@dataclass(eq=False)
class Service:
    """One worker's state; `build_service` makes it."""

    settings: Settings
    params: Params
    batcher: Batcher
    keyring: Keyring
    rate: RateLimit
    recent: RecentTexts
    inbox: Path | None
    traffic: TrafficLog
    handover: Handover = field(default_factory=Handover)
    current: LoadedVersion | None = None
    shadow: LoadedVersion | None = None
    refused_shadow: NamedBundle | None = None  # could not be loaded
    fault: str = ""  # why the named bundle is not served
    draining: bool = False
    background: set["asyncio.Task[None]"] = field(default_factory=set)

    def version(self) -> LoadedVersion:
        """The version that answers now. Raises ApiError if there is none yet."""
        if self.current is None:
            raise ApiError(503, "no_version", "expected a version to serve, found none yet; see /readyz", 1)
        return self.current

    async def follow(self) -> None:
        """Look what to serve, again and again."""
        looks = 0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            looks += 1
            await self.look(again=looks % RETRY_LOADS == 0)

    async def look(self, again: bool = True) -> None:
        """Load what the file of the handover names while the former version answers; after a fault, if ``again``."""
        with contextlib.suppress(OSError, ValueError):
            self.handover = read_handover(self.settings.handover)
        if not self.fault or again:
            self.current = await self.load(self.handover.served, self.current)
        if again or self.handover.shadow != self.refused_shadow:
            self.shadow = await self.load_shadow()
        metrics.REGISTRY_REACHABLE.set(self.handover.registry.reachable)
        metrics.CHAMPION_SERVED.set(self.current is not None and not self.problem())

    async def load(self, wanted: NamedBundle | None, former: LoadedVersion | None) -> LoadedVersion | None:
        """The wanted version, loaded; the former one if nothing is wanted or it cannot be loaded."""
        if wanted is None or (former and is_same(former.bundle, wanted)):
            self.fault = ""
            return former
        try:
            loaded = await asyncio.to_thread(load_version, wanted, self.batcher.threads, self.keeps_vectors())
        except (UserError, OSError) as error:
            if not self.fault:
                print_note(f"serve: not served: {error}")
                metrics.SWAPS.labels("refused").inc()
            self.fault = str(error) if isinstance(error, UserError) else type(error).__name__
            return former
        self.fault = ""
        metrics.SWAPS.labels("served").inc()
        if former:
            metrics.SERVED.labels(str(former.bundle.model), str(former.bundle.number)).set(0)
        metrics.SERVED.labels(str(wanted.model), str(wanted.number)).set(1)
        print_note(f"serve: {loaded.title} answers (worker {os.getpid()})")
        return loaded

    async def load_shadow(self) -> LoadedVersion | None:
        """The version that answers in the shadow; None if there is none, or if it cannot be loaded."""
        wanted = self.handover.shadow
        if wanted is None or (self.current and wanted.digest == self.current.bundle.digest):
            return None
        if self.shadow and is_same(self.shadow.bundle, wanted):
            return self.shadow
        try:
            return await asyncio.to_thread(load_version, wanted, self.batcher.threads)
        except (UserError, OSError) as error:
            if wanted != self.refused_shadow:
                print_note(f"serve: no shadow: {error}")
            self.refused_shadow = wanted
            return None

    def keeps_vectors(self) -> bool:
        """Whether the vectors of texts are kept."""
        monitor = self.params.monitor
        return monitor.path is not None and monitor.keep.vectors

    def problem(self) -> str:
        """Why what answers may not be what the promotion log names; empty if it is."""
        return self.fault or self.handover.fault

    def new_ids(self, count: int) -> list[str]:
        """Ids for so many predictions, which nobody can guess."""
        request = secrets.token_hex(10)
        return [f"{request}-{number}" for number in range(count)]

    def in_background(self, work: "asyncio.Task[None]") -> None:
        """Keep a reference to work that nobody waits for."""
        self.background.add(work)
        work.add_done_callback(self.background.discard)


def is_same(one: NamedBundle, other: NamedBundle) -> bool:
    """Whether both name the same version with the same bytes."""
    return (one.digest, one.number, one.model, one.gate, one.verdict) == (
        other.digest,
        other.number,
        other.model,
        other.gate,
        other.verdict,
    )


def masks_pii(params: Params) -> bool:
    """Whether the texts that a service keeps have their PII masked."""
    return params.serve.mask_pii or params.ingest.mask_pii


def build_service(settings: Settings, params: Params) -> Service:
    """The state of a worker before it begins.

    Raises UserError if the inbox of corrections is missing, or if this machine cannot mask as params say.
    """
    if masks_pii(params):
        check_masks(params.ingest)
    serve, monitor = params.serve, params.monitor
    threads = serve.threads or max(1, (os.cpu_count() or 1) // serve.workers)
    limits = serve.limits
    return Service(
        settings,
        params,
        Batcher(serve.batch.tokens, serve.batch.wait_ms / 1000, serve.batch.queue_texts, threads),
        Keyring(keys_file(settings.root)),
        RateLimit(limits.requests_per_second / serve.workers, max(1, limits.burst / serve.workers)),
        RecentTexts(serve.kept_texts),
        inbox_folder(settings.root, params.feedback),
        TrafficLog(settings.root / monitor.path if monitor.path is not None else None, monitor),
    )


def log_crash(error: BaseException) -> None:
    """Print the kind of an error and where it came up on stderr; its message may quote a text, and is left out."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "nowhere"
    print(f"serve: {type(error).__name__} at {where}; the request got 500", file=sys.stderr, flush=True)
