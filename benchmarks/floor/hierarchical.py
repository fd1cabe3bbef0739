"""What does the job cost in CrewAI as it comes, with its hierarchical process and its own executor?"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any, cast

os.environ.update(
    CREWAI_DISABLE_TELEMETRY="true",
    CREWAI_DISABLE_TRACKING="true",
    CREWAI_TRACING_ENABLED="false",
    OTEL_SDK_DISABLED="true",
)

from crewai import LLM, Agent, Crew, Process, Task
from crewai.tools import BaseTool

from benchmarks.floor.client import MAX_TOKENS, MODEL, Asked, asked, run
from benchmarks.floor.reading import list_files, read_file, search
from benchmarks.floor.roles import (
    GOAL,
    LEAD_GOAL,
    LEAD_STORY,
    WORKER_GOAL,
    WORKER_STORY,
)


class ListFiles(BaseTool):
    """Files."""

    name: str = "list_files"
    description: str = "List files beneath a folder."
    files: Path

    def _run(self, path: str) -> str:
        return list_files(self.files, path)


class ReadFile(BaseTool):
    """Lines."""

    name: str = "read_file"
    description: str = "Read a text file; each line with its number."
    files: Path

    def _run(self, path: str) -> str:
        return read_file(self.files, path)


class Search(BaseTool):
    """Places."""

    name: str = "search"
    description: str = "Find lines by a regular expression."
    files: Path

    def _run(self, pattern: str) -> str:
        return search(self.files, pattern)


def crew(given: Asked) -> Crew:
    """A fresh crew: one cannot be kicked off twice at once."""

    def model() -> Any:
        return LLM(
            model=f"anthropic/{MODEL}", api_key="none", base_url=given.url, max_tokens=MAX_TOKENS
        )

    tools = [kind(files=given.files) for kind in (ListFiles, ReadFile, Search)]
    workers = [
        Agent(
            role=f"Worker {n}", goal=WORKER_GOAL, backstory=WORKER_STORY, tools=cast("Any", tools),
            llm=model(), max_iter=1000, allow_delegation=False,
        )
        for n in (1, 2, 3)
    ]  # fmt: skip
    lead = Agent(
        role="Supervisor", goal=LEAD_GOAL, backstory=LEAD_STORY, llm=model(), max_iter=1000,
        allow_delegation=True,
    )  # fmt: skip
    task = Task(description=GOAL, expected_output="A short report.")
    return Crew(
        agents=cast("Any", workers), tasks=[task], process=Process.hierarchical, manager_agent=lead,
        memory=False, verbose=False,
    )  # fmt: skip


async def job(given: Asked) -> None:
    """Kick one off in a thread: several at once are several threads."""
    made = crew(given)
    await asyncio.to_thread(cast("Any", made).kickoff)


if __name__ == "__main__":
    here = asked()
    run(here, lambda _: job(here))
