"""What does every test of teams start from?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.teams.builders import AGENTS, POLICY, TASKS, Write


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a team, right but for the files that are given; returns its folder."""

    def team(agents: str = AGENTS, tasks: str = TASKS, policy: str = POLICY) -> Path:
        folder = tmp_path / "team"
        folder.mkdir(exist_ok=True)
        for name, text in (("agents", agents), ("tasks", tasks), ("policy", policy)):
            (folder / f"{name}.yaml").write_text(text, encoding="utf-8", newline="")
        return folder

    return team
