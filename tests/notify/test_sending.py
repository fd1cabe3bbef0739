"""Does a notice arrive signed, once, and does nothing of a target's secrets get out on the way?"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time

import pytest

from crews.notify import notice
from crews.notify.sending import KEPT, Answer, send
from crews.settings import NotifyTarget, Settings
from tests.notify.receiver import SECRET, Receiver

pytestmark = pytest.mark.anyio
BODY = notice.a_test(Settings()).model_dump_json()


def target(url: str, secret: str | None = SECRET) -> NotifyTarget:
    return NotifyTarget.model_validate({"url": url, "secret": secret})


async def test_a_webhook_is_signed_as_the_standard_says(receiver: Receiver) -> None:
    answer = await send(target(f"{receiver.url}/hook?x=1"), "msg_1", BODY)
    assert answer == Answer(sent=True, text="HTTP 204")
    (request,) = receiver.received
    assert request.verified() == json.loads(BODY)
    assert request.path == "/hook?x=1"
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert headers["webhook-id"] == "msg_1"
    assert headers["content-type"] == "application/json"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60


async def test_a_webhook_without_a_secret_is_not_signed(receiver: Receiver) -> None:
    assert (await send(target(receiver.url, None), "msg_1", BODY)).sent
    assert "webhook-signature" not in {name.lower() for name in receiver.received[0].headers}


async def test_an_error_is_told_in_short_and_without_the_secrets(receiver: Receiver) -> None:
    said = f"no such hook: /services/T0KEN-OF-OURS {SECRET} \x1b[2J" + "x" * 5000
    receiver.answers = [(500, said)]
    url = f"{receiver.url}/services/T0KEN-OF-OURS"
    answer = await send(target(url), "msg_1", BODY)
    assert answer.text.startswith("HTTP 500 no such hook: /services/[redacted:notify-")
    assert len(answer.text) <= KEPT
    assert (answer.sent, answer.over) == (False, False)
    assert "T0KEN" not in answer.text
    assert "whsec" not in answer.text
    assert "\x1b" not in answer.text


async def test_a_receiver_that_is_gone_is_not_asked_again(receiver: Receiver) -> None:
    receiver.answers = [(410, "")]
    assert (await send(target(receiver.url), "msg_1", BODY)).over


async def test_a_redirection_is_not_followed(receiver: Receiver) -> None:
    receiver.answers = [(302, f"{receiver.url}/elsewhere")]
    answer = await send(target(f"{receiver.url}/hook"), "msg_1", BODY)
    assert (answer.sent, [r.path for r in receiver.received]) == (False, ["/hook"])


async def test_a_receiver_that_never_answers_is_left(receiver: Receiver) -> None:
    began = time.perf_counter()
    answer = await send(target(f"{receiver.url}/stuck"), "msg_1", BODY, seconds=0.3)
    assert answer == Answer(sent=False, text="no answer within 0.3 s")
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:1/T0KEN-OF-OURS", "ConnectError"),
        ("json://127.0.0.1:1/T0KEN-OF-OURS", "Connection error"),
        ("http://127.0.0.1:port/T0KEN-OF-OURS", "InvalidURL"),
        ("nothing://T0KEN-OF-OURS", "no address that `apprise` understands"),
        ("T0KEN-OF-OURS", "no address that `apprise` understands"),
    ],
)
async def test_what_cannot_be_reached_is_an_answer_and_no_crash(url: str, said: str) -> None:
    answer = await send(target(url), "msg_1", BODY)
    assert said in answer.text
    assert "T0KEN" not in answer.text
    assert not answer.sent


async def test_a_signing_secret_that_is_none_is_said_to_be_none(receiver: Receiver) -> None:
    answer = await send(target(receiver.url, "whsec_A"), "msg_1", BODY)
    assert "signing secret of this target cannot be used; it is `whsec_` and base64" in answer.text
    assert receiver.received == []


async def test_a_service_is_told_in_words(receiver: Receiver) -> None:
    answer = await send(target(f"json://127.0.0.1:{receiver.port}/hook"), "msg_1", BODY)
    assert answer == Answer(sent=True, text="accepted")
    told = receiver.received[0].json
    assert told["title"] == "crews: a review waits (test-1)"
    assert "This is a test: nothing waits for you" in told["message"]


async def test_a_service_that_refuses_says_why(receiver: Receiver) -> None:
    receiver.answers = [(503, "")]
    answer = await send(target(f"json://127.0.0.1:{receiver.port}/T0KEN-OF-OURS"), "msg_1", BODY)
    assert (answer.sent, "503" in answer.text, "T0KEN" in answer.text) == (False, True, False)


@pytest.mark.parametrize("scheme", ["http", "json"])
async def test_no_library_logs_the_address(
    receiver: Receiver, caplog: pytest.LogCaptureFixture, scheme: str
) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"{scheme}://127.0.0.1:{receiver.port}/services/T0KEN-OF-OURS"
    assert (await send(target(url), "msg_1", BODY)).sent
    assert "T0KEN" not in caplog.text
    logging.getLogger("httpx2").warning("somebody else's line")
    assert "somebody else's line" in caplog.text


WITHOUT = """
import asyncio, sys
sys.modules["apprise"] = None
from crews.notify.sending import send
from crews.settings import NotifyTarget
target = NotifyTarget.model_validate({"url": "slack://T0KEN-OF-OURS"})
print(asyncio.run(send(target, "msg_1", "{}")).text)
"""


def test_where_apprise_is_missing_it_is_said_how_to_install_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True
    )
    assert 'need the package `apprise`; pip install "crews[notify]"' in done.stdout
