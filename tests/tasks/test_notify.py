"""Messages reach a webhook, a mailbox, a Prefect block; a failure is told by its place, no address is ever shown."""

from pathlib import Path
from typing import Any

import pytest
from prefect.states import State

from tasks import notify
from tasks.prefect_states.retries import retry_options
from tests.support.hooks import hook, mailbox

ROOT = Path(__file__).parents[2]


def send(address: str, body: str = "because") -> State:
    state: Any = notify.send.fn(0, address, "demo: refused version 4", body, "warning")
    return state


def test_a_webhook_gets_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    with hook() as (place, posted):
        monkeypatch.setenv("HOOK", place)
        state = send("json://${HOOK}/retrain")
    assert state.is_completed()
    assert [(one["title"], one["message"], one["type"]) for one in posted] == [
        ("demo: refused version 4", "because", "warning")
    ]


def test_an_email_arrives_line_by_line() -> None:
    with mailbox() as (place, taken):
        state = send(f"mailto://{place}?mode=insecure&from=gleaner@example.org&to=ops@example.org", "because\nnew rows")
    assert state.is_completed(), state.message
    (mail,) = taken
    assert (mail["Subject"], mail["To"]) == ("demo: refused version 4", "ops@example.org")
    plain, page = mail.iter_parts()
    assert plain.get_content().splitlines()[:2] == ["because", "new rows"]
    assert "<br" in page.get_content()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (
            "json://${NO_SUCH_HOOK}/x",
            "notify.to[0]: expected the environment variable NO_SUCH_HOOK, found none; set it",
        ),
        ("carrier-pigeon://secret", "notify.to[0]: expected an address that Apprise knows"),
    ],
)
def test_a_wrong_address_is_told_and_not_tried_again(address: str, said: str) -> None:
    state = send(address)
    assert str(state.message).startswith(said) and "secret" not in str(state.message)
    assert not notify.passing(None, None, state)


def test_a_refusal_is_a_failure_that_may_pass() -> None:
    with hook(status=500) as (place, posted):
        state = send(f"json://user:secret@{place}/x")
    assert state.is_failed() and len(posted) == 1
    assert "secret" not in str(state.message)
    assert notify.passing(None, None, state)


def test_pauses_double(params: Any) -> None:
    changed = params({"retrain": {"retries": 3, "retry_seconds": 10.0}})
    assert retry_options(changed, notify.passing)["retry_delay_seconds"] == [10, 20, 40]
    assert retry_options(params({"retrain": {"retries": 0}}), notify.passing)["retries"] == 0


@pytest.mark.slow
def test_a_prefect_block_gets_the_message(prefect_server: str) -> None:
    from prefect.blocks.notifications import CustomWebhookNotificationBlock
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: prefect_server}), hook() as (place, posted):
        block: Any = CustomWebhookNotificationBlock
        saved = block(
            name="ops", url=f"http://{place}/x", json_data={"said": "{{subject}}: {{body}}"}, allow_private_urls=True
        )
        saved.save("ops", overwrite=True)
        assert send("block:custom-webhook/ops").is_completed()
        assert posted == [{"said": "demo: refused version 4: because"}]
        assert send("block:custom-webhook/none").is_failed()
