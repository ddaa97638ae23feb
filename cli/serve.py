"""The command `gleaner serve`: answers over HTTP with the champion, another version or a bundle, until interrupted."""

import ipaddress
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from flows.prefect_server import configure_environment
from pipeline.core.errors import UserError
from pipeline.core.params import Params, load_params
from pipeline.core.printable import print_note
from pipeline.core.stage import Paths
from pipeline.models.bundle_files import verify
from pipeline.serving.handover import Handover, NamedBundle, write_handover
from pipeline.serving.keys import ADMIN, SCOPES, create_key, keys_file, read_keys
from pipeline.serving.service import Settings
from tasks.registry.manifest import manifest_digest
from tasks.registry.version_choice import CHAMPION
from tasks.serving.supervise import Supervisor, keep_alive, listen, stopped_by_signals

FIRST_KEY = "first"  # the name of the key that --create-key makes


if TYPE_CHECKING:
    from tasks.serving.follow import Follower


@dataclass(frozen=True)
class Options:
    """What the user gave on the command line; None where params.yaml decides."""

    host: str | None = None
    port: int | None = None
    version: str | None = None
    bundle: Path | None = None
    no_auth: bool = False
    create_key: bool = False


def main(root: Path, options: Options) -> int:
    """Serve until Ctrl-C or SIGTERM; exit code 0. Raises UserError if there is nothing to serve or no port."""
    configure_environment(root)
    params = load_params(root / "params.yaml")
    host = options.host or params.serve.host
    port = params.serve.port if options.port is None else options.port
    check_options(options, host)
    check_keys(root, options)
    scratch = Paths(root).scratch("serve")
    scratch.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=scratch, prefix="run-") as folder, listen(host, port) as listening:
        address = f"http://{listening.getsockname()[0]}:{listening.getsockname()[1]}"
        run = run_replicas if params.serve.engine == "ray" else run_workers
        run(root, params, options, Path(folder), listening, address)
    return 0


def run_workers(
    root: Path, params: Params, options: Options, folder: Path, listening: socket.socket, address: str
) -> None:
    """Start the workers, hand over what to serve, and keep both up until a signal."""
    path, metrics = folder / "handover.json", folder / "metrics"
    metrics.mkdir()
    given = {"root": str(root), "handover": str(path), "is_open": options.no_auth}
    supervisor = Supervisor(given, listening, params.serve.workers, metrics, params.serve.drain_seconds)
    with stopped_by_signals() as stopped:
        try:
            supervisor.start()
            follower = start_following(root, params, options, path)
            if follower is not None:
                seconds = params.serve.follow_seconds
                threading.Thread(target=follower.follow, args=[seconds, stopped], daemon=True).start()
            start_watching(root, params, path, stopped)
            print(f"{address}  Ctrl-C stops it once everything is answered; {address}/docs describes it", flush=True)
            keep_alive(supervisor, stopped)
        finally:
            stopped.set()
            supervisor.stop()


def run_replicas(
    root: Path, params: Params, options: Options, folder: Path, listening: socket.socket, address: str
) -> None:
    """Start replicas on the Ray cluster, hand over what to serve, and answer by them until a signal."""
    from pipeline.serving.replica import build_state
    from tasks.serving import ray_front  # imports uvicorn

    path, metrics = folder / "handover.json", folder / "metrics"
    metrics.mkdir()
    settings = Settings(root, path, options.no_auth)
    service = build_state(settings, params)  # what a replica raised as it starts would be hidden in an error of Ray
    follower = start_following(root, params, options, path)
    name = ray_front.application_name(listening)
    with ray_front.replicas(settings, params, metrics, name) as answer, stopped_at_end() as stopped:
        if follower is not None:
            seconds = params.serve.follow_seconds
            threading.Thread(target=follower.follow, args=[seconds, stopped], daemon=True).start()
        start_watching(root, params, path, stopped)
        print(f"{address}  Ctrl-C stops it once everything is answered; {address}/docs describes it", flush=True)
        ray_front.serve_requests(ray_front.Front(service, answer), listening)


def start_watching(root: Path, params: Params, handover: Path, stopped: threading.Event) -> None:
    """Take looks at the traffic in a thread until ``stopped`` is set, if params ask for them."""
    if params.monitor.every_minutes:
        from tasks.watch import watch  # with pandas, while workers or replicas answer

        given = (root, handover, params.monitor.every_minutes, stopped)
        threading.Thread(target=watch, args=given, name="watch").start()


@contextmanager
def stopped_at_end() -> Iterator[threading.Event]:
    """An event that is set at the end of the block."""
    stopped = threading.Event()
    try:
        yield stopped
    finally:
        stopped.set()


def start_following(root: Path, params: Params, options: Options, path: Path) -> "Follower | None":
    """Hand over the first version; returns who follows the promotion log from then on, None for a bundle.

    Raises UserError if there is nothing to serve.
    """
    if options.bundle is not None:
        bundle = options.bundle.resolve()
        verify(bundle)
        write_handover(path, Handover(NamedBundle(str(bundle), manifest_digest(bundle))))
        return None
    from tasks.serving.follow import Follower, Wanted  # reads the log with pandas, while the workers start

    wanted = Wanted(params.registry.model, options.version or CHAMPION, params.serve.shadow.version)
    follower = Follower(root, wanted, path)
    follower.start()
    return follower


def check_keys(root: Path, options: Options) -> None:
    """Say on stderr that there is no key yet; with ``create_key``, make one and print it instead."""
    if options.no_auth or read_keys(keys_file(root)):
        return
    if not options.create_key:
        print_note(
            "serve: there is no key yet, so that every question gets 401: `gleaner keys create NAME --scope predict`"
        )
        return
    scopes = [scope for scope in SCOPES if scope != ADMIN]
    print(
        f"A key with the scopes {', '.join(scopes)}, shown only now: {create_key(root, FIRST_KEY, scopes)}", flush=True
    )


def check_options(options: Options, host: str) -> None:
    """Raises UserError for options that contradict each other, or that open the service to others without keys."""
    if options.bundle is not None and options.version is not None:
        raise UserError("--version, --bundle: expected one of them, found both; leave one out")
    if options.no_auth and not is_loopback(host):
        raise UserError(f"--no-auth: expected a service on loopback, found --host {host}; create keys instead")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
