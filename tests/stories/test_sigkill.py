"""Is a step paid for once, and a side effect done once, wherever a run is killed?

The models answer over a loopback server that outlives the crew; the crew is a process of its own and
dies of SIGKILL. What the server saw, what the journal holds and what lies in the folder must agree.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from crews.errors import SandboxUnavailable
from crews.tools.sandbox import choose
from tests.stories.children import PATIENCE, Nursery
from tests.stories.lives import Life, Rhythm, Story, wait_for
from tests.stories.press import press
from tests.stories.teams import GOAL, PRINTED

SEED = 20260921
GROUPS, DEATHS_A_GROUP = 2, 3
MOST_DEATHS = 12
BRAIN = press(delay=0.05, commands=True, pause=0.1)
MARKS = {"log/soup.txt": "soup\n", "log/bread.txt": "bread\n"}
"""What the commands leave behind, if each has run exactly once."""
PLACES: Counter[str] = Counter()


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    try:
        choose("auto")
    except SandboxUnavailable as error:
        pytest.skip(f"commands cannot be run here: {error.what}")
    with Nursery(tmp_path_factory.mktemp("nursery")) as running:
        yield running


@pytest.fixture(scope="module")
def undisturbed(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> tuple[Story, Rhythm]:
    """What a run leaves behind that nobody kills, and when it did what."""
    with Life(tmp_path_factory.mktemp("undisturbed") / "life", nursery, BRAIN) as life:
        rhythm = life.live_undisturbed()
        life.check_paid_once()
        assert len(life.server.requests) == len(life.recorded())
        story = life.story()
    assert story.files == {**PRINTED, **MARKS}
    return story, rhythm


@pytest.mark.parametrize("group", range(GROUPS))
def test_killed_at_any_moment_it_goes_on_where_it_was(
    group: int, nursery: Nursery, undisturbed: tuple[Story, Rhythm], tmp_path: Path
) -> None:
    story, rhythm = undisturbed
    chance = random.Random(SEED + group)
    for number in range(DEATHS_A_GROUP):
        with Life(tmp_path / str(number), nursery, BRAIN) as life:
            life.die_at(chance.uniform(0, rhythm.end), rhythm)
            PLACES.update(life.deaths[0].places)
            life.live_on()
            _check(life, story)


def test_killed_again_and_again_it_still_gets_there(
    nursery: Nursery, undisturbed: tuple[Story, Rhythm], tmp_path: Path
) -> None:
    story, rhythm = undisturbed
    chance = random.Random(SEED)
    with Life(tmp_path / "life", nursery, BRAIN) as life:
        while life.places() != ["run completed"] and len(life.deaths) < MOST_DEATHS:
            life.die_after(chance.uniform(0.1, 0.4) * rhythm.end)
            life.decide()
            PLACES.update(life.deaths[-1].places)
        life.live_on()
        _check(life, story)
        assert len(life.deaths) > 2


@pytest.mark.parametrize(("happened", "truth"), [(False, "not done"), (True, "done")])
def test_a_command_that_was_running_is_not_run_again_unasked(
    happened: bool,
    truth: str,
    nursery: Nursery,
    undisturbed: tuple[Story, Rhythm],
    tmp_path: Path,
) -> None:
    def now() -> bool:
        calls = life.running("run_command")
        return bool(calls) and all(life.left_its_line(c.arguments) is happened for c in calls)

    with Life(tmp_path / "life", nursery, press(delay=0.02, commands=True, pause=0.7)) as life:
        life.die_when(now)
        killed_in = len(life.running("run_command"))
        assert "run_command started" in life.deaths[0].places
        assert life.start().ended() == 3
        asked = life.open_reviews()
        assert [r.kind for r in asked] == ["unknown"] * killed_in
        assert all(r.choices == ("answer", "stop") for r in asked)
        life.live_on()
        assert truth in life.decisions
        life.check_paid_once()
        assert life.press.files == {**PRINTED, **MARKS}


def test_the_deaths_were_everywhere(undisturbed: tuple[Story, Rhythm]) -> None:
    """Says where the runs of this module were killed; a net that catches one place is no net."""
    if not PLACES:
        pytest.skip("this test counts what the others of the module did")
    lines = [f"{count:4}  {place}" for place, count in PLACES.most_common()]
    sys.stdout.write(
        f"\nundisturbed: {undisturbed[1].end:.1f} s; killed at\n" + "\n".join(lines) + "\n"
    )
    assert len(PLACES) >= 5
    assert PLACES["run completed"] < PLACES.total() / 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_at_the_command_line_it_can_be_resumed(
    number: signal.Signals, nursery: Nursery, undisturbed: tuple[Story, Rhythm], tmp_path: Path
) -> None:
    with Life(tmp_path / "life", nursery, BRAIN) as life:
        with _command(life) as process:

            def now() -> bool:
                in_a_turn = number == signal.SIGINT and len(life.server.requests) >= 5
                return process.poll() is not None or in_a_turn or bool(life.running("run_command"))

            wait_for(now)
            process.send_signal(number)
            out, err = process.communicate(timeout=PATIENCE)
        life.note_death()

        assert process.returncode == 130, err
        run = life.journal.row()
        assert (run.status, run.reason, run.owner) == ("queued", "interrupted", "")
        last = json.loads(out.splitlines()[-1])
        assert (last["type"], last["exit_code"]) == ("error", 130)
        assert f"crews resume {run.id}" in last["what"]
        life.live_on()
        _check(life, undisturbed[0])


def _command(life: Life) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "crews", "run", GOAL, "--json", "--no-input"]
    command += ["--team", str(life.press.team), "--workspace", str(life.press.folder)]
    root = str(Path(__file__).resolve().parents[2])
    env = {
        **os.environ,
        "ANTHROPIC_BASE_URL": life.server.url,
        "CREWS_HOME": str(life.settings.home),
        "CREWS_USER": "ada",
        "PYTHONPATH": root,
    }
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=env, stdout=pipe, stderr=pipe, text=True)


def _check(life: Life, story: Story) -> None:
    """The end is the same as that of the run that nobody killed."""
    places = [death.places for death in life.deaths]
    life.check_paid_once()
    life.check_audit()
    found = life.story()
    assert found.files == {**PRINTED, **MARKS}, places
    assert found.calls == story.calls, places
    assert found.report == story.report, places
