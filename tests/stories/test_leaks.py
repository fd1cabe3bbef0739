"""Does a secret leave the workspace in any file, message or output, wherever it came in?"""

from __future__ import annotations

import base64
import zipfile
from pathlib import Path

import pytest
from pydantic import SecretStr

import crews
from crews import Event
from crews.settings import NotifyTarget
from tests.notify.receiver import SECRET as SIGNED
from tests.notify.receiver import receiving
from tests.stories.players import (
    CHANGE,
    CHECK,
    approve,
    brief,
    delegate,
    finish,
    hand_over,
    plan,
    played,
    team,
)
from tests.stories.scenes import staged
from tests.support.scripts import call, reply, text

KNOWN = "kX93-Lq0_zzT/7pW+44a"
SHAPED = "ghp_" + "a1B2" * 9
FORMS = {
    "plain": KNOWN,
    "reversed": KNOWN[::-1],
    "hex": KNOWN.encode().hex(),
    "hex with blanks": KNOWN.encode().hex(" "),
    "base64": base64.b64encode(KNOWN.encode()).decode()[:-2],
    "UTF-16": KNOWN.encode("utf-16-le").hex(),
    "escapes": "".join(f"\\u{ord(c):04x}" for c in KNOWN),
    "pieces": '" + "'.join(KNOWN[n : n + 5] for n in range(0, len(KNOWN), 5)),
}
EVERYWHERE = " ~ ".join(FORMS.values())


def left_in(data: bytes) -> list[str]:
    """The forms of the known secret that bytes hold, also as a JSON string holds them."""
    return [
        name
        for name, form in FORMS.items()
        if form.encode() in data or form.replace("\\", "\\\\").encode() in data
    ]


script = played(
    {
        "boss": [
            plan(CHANGE | {"task": f"Use {EVERYWHERE}"}, CHECK),
            reply(call("ask_human", question=f"Is it {EVERYWHERE}?", context=EVERYWHERE)),
            reply(call("escalate", what=f"Is it {KNOWN}?", why=EVERYWHERE, positions=[EVERYWHERE])),
            delegate("change"),
            delegate("check"),
            finish(f"I used {EVERYWHERE} and {SHAPED}."),
        ],
        "coder": [
            reply(text(f"I know {EVERYWHERE}"), call("read_file", path="keys.txt")),
            reply(call("write_file", path="a.txt", content=f"key = '{EVERYWHERE}'\n")),
            reply(call("read_file", path=f"no/such/{KNOWN}")),
            reply(call("search", pattern="key", path=".")),
            reply(call("run_command", command="cat keys.txt; tr -d x < keys.txt >&2; exit 3")),
            hand_over(f"Wrote {EVERYWHERE}", open_questions=[EVERYWHERE]),
        ],
        "judge": [reply(call("read_file", path="a.txt")), approve()],
        "officer": [
            reply(call("read_file", path="keys.txt")),
            brief(
                what=EVERYWHERE,
                why=EVERYWHERE,
                recommendation=EVERYWHERE,
                checked=[EVERYWHERE],
                unknown=[EVERYWHERE],
            ),
        ],
    }
)


def test_a_known_secret_is_in_nothing_that_is_kept_or_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By design only the workspace's own files keep it: they are the user's."""
    monkeypatch.setenv("DEPLOY_TOKEN", KNOWN)
    told: list[Event] = []
    tape, archive = tmp_path / "tape.jsonl", tmp_path / "run.zip"
    files = {"a.txt": "one\n", "keys.txt": EVERYWHERE}
    with receiving() as receiver, staged(script, team(), files=files) as stage:
        hook = NotifyTarget(url=SecretStr(receiver.url), secret=SecretStr(SIGNED))
        stage.settings = stage.settings.model_copy(update={"notify": {"ops": hook}})
        result = stage.run(f"Deploy with {EVERYWHERE}", on_event=told.append, record=tape)
        briefed = False
        while result.status == "waiting":
            (review, *_) = result.waiting_for
            said = f"Yes, {EVERYWHERE}"
            answer = "answer" if "answer" in review.choices else "approve"
            assert left_in(repr(review).encode()) == []
            briefed = briefed or "[redacted:DEPLOY_TOKEN]" in repr(review.brief)
            crews.decide(review.id, answer, reason=said, by="ann", settings=stage.settings)
            result = stage.resume()
        assert result.status == "completed"
        command = stage.call("run_command")
        shown = [
            stage.cli(*command)
            for command in (
                ("runs", "show", stage.id),
                ("runs", "show", stage.id, "--json"),
                ("runs", "--json"),
                ("export", stage.id, "-o", str(archive)),
                ("runs", "show", KNOWN),
                ("run", KNOWN, "--team", f"/no/such/{KNOWN}", "--json"),
            )
        ]
        requests = repr([r.body for r in stage.requests()]).encode()
        kept = {
            str(p): left_in(p.read_bytes())
            for p in stage.settings.home.rglob("*")
            if p.is_file() and not p.is_relative_to(stage.settings.run_folder(stage.id))
        }
    assert any(name.endswith("crews.db") for name in kept)
    assert {name: found for name, found in kept.items() if found} == {}
    assert left_in(tape.read_bytes()) == []
    assert left_in(repr(told).encode()) == []
    assert left_in(result.report.encode()) == []
    assert left_in(requests) == []
    for _, out, err in shown:
        assert left_in((out + err).encode()) == []
    assert "[redacted:DEPLOY_TOKEN]" in repr(told)
    assert briefed
    assert "[redacted:DEPLOY_TOKEN]" in command.result
    notices = [(one.json["event"], left_in(one.body.encode())) for one in receiver.received]
    assert {event for event, _ in notices} == {"review_opened", "run_ended"}
    assert [found for _, found in notices if found] == []
    assert any("[redacted:DEPLOY_TOKEN]" in one.body for one in receiver.received)
    with zipfile.ZipFile(archive) as found:
        assert {n for n in found.namelist() if left_in(found.read(n))} == set()
    for data in (repr(told), result.report, tape.read_text(encoding="utf-8")):
        assert SHAPED not in data
