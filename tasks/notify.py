"""Tell people what a night came to: Apprise URLs (webhooks, e-mail, chat) or Prefect blocks, never more than the log.

An address may hold a password: it is named by its place in params.yaml, and never shown.
"""

import os
import re
from pathlib import Path
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed, State
from pydantic import ValidationError

from pipeline.core.errors import UserError
from pipeline.core.params import Notify, read_yaml

BLOCK = "block:"  # before the slug of a Prefect block, e.g. block:slack-webhook/ops
ERRORS = {"refused", "failed", "drift"}
RETRIES, PAUSE = 2, 10  # attempts after the first, and seconds between them, where params tell no other


@task(name="notify", cache_policy=NO_CACHE, persist_result=False)
def send(place: int, address: str, title: str, body: str, kind: str) -> State:
    """Hand one message to one address; a failure is a failed task, which the caller records and survives."""
    key = f"notify.to[{place}]"
    try:
        sent = (
            to_block(address.removeprefix(BLOCK), title, body)
            if address.startswith(BLOCK)
            else to_url(key, address, title, body, kind)
        )
    except UserError as error:
        return Failed(name="Misconfigured", message=str(error))
    except Exception as error:  # noqa: BLE001  whatever a service raises: the night goes on, and its address stays unsaid
        return Failed(message=f"{key}: expected the message to be taken, found {type(error).__name__}")
    return (
        Completed(message=f"{key}: sent")
        if sent
        else Failed(message=f"{key}: expected the message to be taken, found a refusal")
    )


def to_url(key: str, address: str, title: str, body: str, kind: str) -> bool:
    """Through Apprise; UserError where it does not know the address."""
    from apprise import Apprise

    box = Apprise()
    if not box.add(expand(key, address)):
        raise UserError(
            f"{key}: expected an address that Apprise knows, such as json://host/path, found none; correct it"
        )
    return bool(box.notify(body=body, title=title, notify_type=kind, body_format="text"))  # else mail loses its lines


def to_block(slug: str, title: str, body: str) -> bool:
    """Through a notification block that was saved on the Prefect server."""
    from prefect.blocks.core import Block

    found: Any = Block.load(slug)
    with found.raise_on_failure():
        found.notify(body, subject=title)
    return True


def expand(key: str, address: str) -> str:
    """The address with each ${VARIABLE} taken from the environment, so that no secret stands in params.yaml."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise UserError(f"{key}: expected the environment variable {match[1]}, found none; set it")
        return os.environ[match[1]]

    return re.sub(r"\$\{(\w+)\}", value, address)


def tell(settings: Notify, patient: dict[str, Any], events: set[str], title: str, body: str) -> list[str]:
    """Log the message, send it wherever params say so, and return what could not be sent, a line each.

    ``patient`` are options of the task that sends: how often it tries again.
    """
    get_run_logger().info(f"{title}\n{body}")
    if not events & set(settings.on):
        return []
    kind = "failure" if "failed" in events else "warning" if events & ERRORS else "success"
    faults = []
    for place, address in enumerate(settings.to):
        state = send.with_options(task_run_name=f"notify {place}", **patient)(
            place, address, title, body, kind, return_state=True
        )
        if not state.is_completed():
            faults.append(str(state.message))
    return faults


def tell_of_failure(root: Path, title: str, body: str) -> list[str]:
    """Tell of a night that failed before it could read params or open its record: then it has nowhere else to say so.

    Of params.yaml, only the section `notify` has to be right.
    """
    try:
        settings = Notify.model_validate(read_yaml(root / "params.yaml")["notify"])
    except (UserError, ValidationError, KeyError, TypeError):  # what is wrong may be an address, which is not shown
        get_run_logger().error("nobody can be told: expected a section notify in params.yaml, found none that is valid")
        return []
    return tell(settings, {"retries": RETRIES, "retry_delay_seconds": PAUSE}, {"failed"}, title, body)


def passing(_task: Any, _run: Any, state: State) -> bool:
    """Whether trying again may help: not where params are wrong."""
    return state.name != "Misconfigured"
