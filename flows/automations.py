"""The automations of automations.yaml: rules that Prefect's server follows by itself, whether or not a worker is there.

One of them marks nights as crashed whose machine died. `flows.crashed_runs` does the same when `gleaner schedule`
begins, for the nights that died together with the server, which then sees no heartbeat missing.
"""

from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError
from pipeline.core.installed import template_folder
from pipeline.core.yaml_file import read_yaml

FILE = "automations.yaml"
HEARTBEATS = 2  # that may be missing: one is late where a server or a network is busy


def apply_automations(root: Path) -> int:
    """Put the automations of the project on Prefect's server, in place of those with their names; returns how many.

    Raises UserError where the file is broken, or where nights send heartbeats too rarely for it.
    """
    from prefect.client.orchestration import get_client

    automations = read_automations(root)
    require_frequent_heartbeats(root, automations)
    with get_client(sync_client=True) as client:
        for automation in automations:
            first, *others = client.read_automations_by_name(automation.name) or [None]  # type: ignore[list-item]
            if first is None:
                client.create_automation(automation)
            else:
                client.update_automation(first.id, automation)
            for other in others:
                client.delete_automation(other.id)
    return len(automations)


def automations_file(root: Path) -> Path:
    """The project's automations.yaml; that of the installed Gleaner where the project is older than the file."""
    own = root / FILE
    return own if own.exists() else template_folder() / FILE


def read_automations(root: Path) -> list[Any]:
    """The automations of the project, as Prefect's `AutomationCore`; raises UserError that names the first fault."""
    from prefect.events.schemas.automations import AutomationCore
    from pydantic import ValidationError

    path = automations_file(root)
    content = read_yaml(path) or []
    if not isinstance(content, list):
        raise UserError(f"{path}: expected a list of automations, found {type(content).__name__}")
    automations = []
    for number, entry in enumerate(content):
        try:
            automations.append(AutomationCore.model_validate(entry))
        except ValidationError as error:
            fault = error.errors()[0]
            place = ".".join(str(part) for part in (number, *fault["loc"]))
            raise UserError(f"{path}: expected what Prefect takes, found at {place}: {fault['msg']}") from None
    return automations


def require_frequent_heartbeats(root: Path, automations: list[Any]) -> None:
    """Raise UserError where a living night would count as dead, because its heartbeats are too far apart."""
    from prefect.settings import get_current_settings

    frequency = get_current_settings().flows.heartbeat_frequency
    for automation in automations:
        trigger = automation.trigger
        if "prefect.flow-run.heartbeat" not in getattr(trigger, "after", ()):
            continue
        within = trigger.within.total_seconds()
        if frequency is None or frequency * HEARTBEATS > within:
            limit = f"{within / HEARTBEATS:.0f} seconds, half of `within` in {automations_file(root)}"
            raise UserError(
                f"PREFECT_FLOWS_HEARTBEAT_FREQUENCY: expected at most {limit}, found {frequency}; "
                "else living nights are marked as crashed"
            )
