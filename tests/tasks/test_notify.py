"""Messages reach a webhook, a mailbox, a Prefect block; a failure is named by its position, and no address is shown."""

import os
from pathlib import Path
from typing import Any

import pytest
from prefect.states import State

from tasks import notify
from tasks.prefect_states.retries import retry_options
from tests.support.hooks import mailbox, webhook

ROOT = Path(__file__).parents[2]


def send(address: str, body: str = "because") -> State:
    state: Any = notify.send_message.fn(0, address, "demo: refused version 4", body, "warning")
    return state


def test_a_webhook_gets_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    with webhook() as (server, posted):
        monkeypatch.setenv("HOOK", server)
        state = send("json://${HOOK}/retrain")
    assert state.is_completed()
    assert [(message["title"], message["message"], message["type"]) for message in posted] == [
        ("demo: refused version 4", "because", "warning")
    ]


def test_an_email_arrives_line_by_line() -> None:
    with mailbox() as (server, mails):
        state = send(
            f"mailto://{server}?mode=insecure&from=gleaner@example.org&to=ops@example.org", "because\nnew rows"
        )
    assert state.is_completed(), state.message
    (mail,) = mails
    assert (mail["Subject"], mail["To"]) == ("demo: refused version 4", "ops@example.org")
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().splitlines()[:2] == ["because", "new rows"]


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "json://${NO_SUCH_HOOK}/x",
            "notify.to[0]: expected the environment variable NO_SUCH_HOOK, found none; set it",
        ),
        ("carrier-pigeon://secret", "notify.to[0]: expected an address that Apprise knows"),
    ],
)
def test_a_wrong_address_is_reported_and_not_tried_again(address: str, message: str) -> None:
    state = send(address)
    assert str(state.message).startswith(message) and "secret" not in str(state.message)
    assert not notify.is_worth_retrying(None, None, state)


def test_a_refusal_is_a_failure_and_worth_retrying() -> None:
    with webhook(status=500) as (server, posted):
        state = send(f"json://user:secret@{server}/x")
    assert state.is_failed() and len(posted) == 1
    assert "secret" not in str(state.message)
    assert notify.is_worth_retrying(None, None, state)


def test_pauses_between_retries_double(params: Any) -> None:
    changed = params({"retrain": {"retries": 3, "retry_seconds": 10.0}})
    assert retry_options(changed, notify.is_worth_retrying)["retry_delay_seconds"] == [10, 20, 40]
    assert retry_options(params({"retrain": {"retries": 0}}), notify.is_worth_retrying)["retries"] == 0


@pytest.mark.slow
def test_a_prefect_block_gets_the_message(prefect_server: str) -> None:
    from prefect.blocks.notifications import CustomWebhookNotificationBlock
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    settings = {PREFECT_API_URL: prefect_server, PREFECT_API_AUTH_STRING: os.environ["PREFECT_API_AUTH_STRING"]}
    with temporary_settings(settings), webhook() as (server, posted):
        block: Any = CustomWebhookNotificationBlock
        saved = block(
            name="ops", url=f"http://{server}/x", json_data={"said": "{{subject}}: {{body}}"}, allow_private_urls=True
        )
        saved.save("ops", overwrite=True)
        assert send("block:custom-webhook/ops").is_completed()
        assert posted == [{"said": "demo: refused version 4: because"}]
        assert send("block:custom-webhook/none").is_failed()
