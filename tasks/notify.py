"""Sends people the outcome of a night, as in the log: to Apprise URLs (webhooks, e-mail, chat) or Prefect blocks.

An address may hold a password. Messages name it by its position in params.yaml, and never show it.
"""

from pathlib import Path
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed, State
from pydantic import ValidationError

from pipeline.core.environment_variables import expand_variables
from pipeline.core.errors import UserError
from pipeline.core.params import Notify, read_yaml
from tasks.prefect_states.user_error import as_failed_state

BLOCK_PREFIX = "block:"  # before the slug of a Prefect block, e.g. block:slack-webhook/ops
WARNING_EVENTS = {"refused", "failed", "drift", "waiting"}
# For a message about params that cannot be read: the usual retries are in those params.
RETRIES, RETRY_SECONDS = 2, 10


@task(name="notify", cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def send_message(position: int, address: str, title: str, body: str, kind: str) -> State:
    """Send one message to one address. A failure is a failed task: the caller records it, and the night goes on."""
    try:
        fault = send(position, address, title, body, kind)
    except UserError as error:
        return Failed(name="Misconfigured", message=str(error))
    return Failed(message=fault) if fault else Completed(message=f"notify.to[{position}]: sent")


def send(position: int, address: str, title: str, body: str, kind: str) -> str:
    """Send one message to one address; returns why it was not taken, empty if it was.

    Raises UserError if the address is wrong.
    """
    key = f"notify.to[{position}]"
    try:
        sent = (
            send_to_block(address.removeprefix(BLOCK_PREFIX), title, body)
            if address.startswith(BLOCK_PREFIX)
            else send_to_url(key, address, title, body, kind)
        )
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001  a service may raise anything, and its message may show the address
        return f"{key}: expected the message to be taken, found {type(error).__name__}"
    return "" if sent else f"{key}: expected the message to be taken, found a refusal"


def send_to_url(key: str, address: str, title: str, body: str, kind: str) -> bool:
    """Send through Apprise; False if the service refuses. Raises UserError if Apprise does not know the address."""
    from apprise import Apprise

    apprise = Apprise()
    if not apprise.add(expand_variables(key, address)):
        raise UserError(
            f"{key}: expected an address that Apprise knows, such as json://host/path, found none; correct it"
        )
    # Without body_format an e-mail loses its line breaks.
    return bool(apprise.notify(body=body, title=title, notify_type=kind, body_format="text"))


def send_to_block(slug: str, title: str, body: str) -> bool:
    """Send through a notification block that was saved on the Prefect server. A failure raises."""
    from prefect.blocks.core import Block

    block: Any = Block.load(slug)
    with block.raise_on_failure():
        block.notify(body, subject=title)
    return True


def send_messages(
    settings: Notify, retry_options: dict[str, Any], events: set[str], title: str, body: str
) -> list[str]:
    """Log the message, and send it to every address if params ask for one of ``events``.

    ``retry_options`` are options of the task that sends. Returns one line for each address that could not be reached.
    """
    get_run_logger().info(f"{title}\n{body}")
    if not events & set(settings.on):
        return []
    kind = "failure" if "failed" in events else "warning" if events & WARNING_EVENTS else "success"
    faults = []
    for position, address in enumerate(settings.to):
        state = send_message.with_options(task_run_name=f"notify {position}", **retry_options)(
            position, address, title, body, kind, return_state=True
        )
        if not state.is_completed():
            faults.append(str(state.message))
    return faults


def send_failure_message(root: Path, title: str, body: str) -> list[str]:
    """Send a message about a night that failed before it read params or opened its record in MLflow.

    Only the section `notify` of params.yaml has to be valid.
    """
    try:
        settings = Notify.model_validate(read_yaml(root / "params.yaml")["notify"])
    except (UserError, ValidationError, KeyError, TypeError):  # the message is not shown, it may quote an address
        get_run_logger().error("nobody can be told: expected a section notify in params.yaml, found none that is valid")
        return []
    retry_options = {"retries": RETRIES, "retry_delay_seconds": RETRY_SECONDS}
    return send_messages(settings, retry_options, {"failed"}, title, body)


def is_worth_retrying(_task: Any, _run: Any, state: State) -> bool:
    """Whether trying again may help. If params are wrong, it does not."""
    return state.name != "Misconfigured"
