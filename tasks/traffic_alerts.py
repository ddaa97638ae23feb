"""Records what a look at traffic found, for the service's metrics, and tells people what began or ended, once."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.core.printable import print_note
from pipeline.core.stage import write_atomically
from pipeline.policies.monitoring.alerts import Alert, AlertChange, update_alerts
from pipeline.policies.monitoring.finding import TrafficLook
from pipeline.serving.findings_file import FINDINGS_FILE, write_look
from tasks.monitor import traffic_folder

ALERTS_FILE, ALERTS_LOCK = "alerts.json", "alerts.lock"
Send = Callable[[str, str], list[str]]  # sends a title and a body; returns a line for each address it did not reach


def record_look(root: Path, params: Params, look: TrafficLook, send: Send) -> AlertChange:
    """Write the findings for the service's metrics, and send what began or ended since the last look.

    Alerts are written once they were sent, under a lock, so that nobody is told twice; what could not be sent is
    printed. Where no address took the message, or the process was killed before, the next look tries again.
    """
    folder = traffic_folder(root, params)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ALERTS_LOCK, fallback_to_soft=False):
        write_look(folder / FINDINGS_FILE, look)
        change = update_alerts(read_alerts(folder), look, params.monitor.end_after)
        faults = send(*alert_message(params.registry.model, look, change)) if change.begun or change.ended else []
        for line in faults:
            print_note(f"monitor: {line}")
        if not faults or len(faults) < len(params.notify.to):
            write_alerts(folder, change.alerts)
    return change


def write_alerts(folder: Path, alerts: Sequence[Alert]) -> None:
    """Write the alerts that have begun and not ended."""
    content = json.dumps([asdict(alert) for alert in alerts], default=datetime.isoformat, indent=1)
    write_atomically(folder / ALERTS_FILE, lambda part: part.write_text(content, encoding="utf-8"))


def read_alerts(folder: Path) -> list[Alert]:
    """The alerts after the last look; none before the first. Raises UserError if the file is damaged."""
    path = folder / ALERTS_FILE
    try:
        return TypeAdapter(list[Alert]).validate_json(path.read_bytes())
    except FileNotFoundError:
        return []
    except ValidationError:
        raise UserError(f"{path}: expected the alerts of the last look, found something else; remove it") from None


def alert_message(model: str, look: TrafficLook, change: AlertChange) -> tuple[str, str]:
    """Title and body of a message; no text of a request is in it."""
    names = [finding.title for finding in change.begun] or [f"{alert.title} ended" for alert in change.ended]
    lines = [f"{look.title}, {look.rows} texts since {look.since:%Y-%m-%d %H:%M} UTC"]
    lines += [f"begun: {finding.title}: {finding.sentence}" for finding in change.begun]
    for alert in change.ended:
        of_version = f" of {alert.version}" if alert.version and alert.version != look.title else ""
        begun = f"{alert.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        lines.append(f"ended: {alert.title}{of_version}, which had begun at {begun}")
    return f"{model}: traffic: {', '.join(names)}", "\n".join(lines)


def send_by(params: Params) -> Send:
    """Sends to the addresses of the section notify, if it asks for the event ``alert``."""

    def send(title: str, body: str) -> list[str]:
        if "alert" not in params.notify.on:
            return []
        addresses = enumerate(params.notify.to)
        return [
            fault for position, address in addresses if (fault := try_to_send(params, position, address, title, body))
        ]

    return send


def try_to_send(params: Params, position: int, address: str, title: str, body: str) -> str:
    """Send a message to one address, with the retries of a night; returns why it was not taken, empty if it was."""
    from tasks import notify  # Prefect, which takes seconds

    fault = ""
    for attempt in range(params.retrain.retries + 1):
        if attempt:
            time.sleep(params.retrain.retry_seconds * 2 ** (attempt - 1))
        try:
            fault = notify.send(position, address, title, body, "warning")
        except UserError as error:
            return str(error)
        if not fault:
            return ""
    return fault
