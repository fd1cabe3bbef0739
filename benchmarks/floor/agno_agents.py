"""What does the job cost in Agno, without its telemetry? Agents that call agents."""

from __future__ import annotations

from agno.agent import Agent
from agno.models.anthropic import Claude

from benchmarks.floor import reading
from benchmarks.floor.client import MAX_TOKENS, MODEL, Asked, asked, run
from benchmarks.floor.roles import GOAL, LEAD, WORKER


class Team:
    """Both agents, made once: they keep nothing of a run."""

    def __init__(self, given: Asked) -> None:
        files = given.files

        def model() -> Claude:
            return Claude(
                id=MODEL, api_key="none", max_tokens=MAX_TOKENS,
                client_params={"base_url": given.url},
            )  # fmt: skip

        def list_files(path: str) -> str:
            """List files beneath a folder."""
            return reading.list_files(files, path)

        def read_file(path: str) -> str:
            """Read a text file; each line with its number."""
            return reading.read_file(files, path)

        def search(pattern: str) -> str:
            """Find lines by a regular expression."""
            return reading.search(files, pattern)

        reading_tools = [list_files, read_file, search]

        async def delegate(worker: int, task: str) -> str:
            """Give a piece of work to a worker."""
            del worker
            reader = Agent(model=model(), tools=reading_tools, instructions=WORKER, telemetry=False)
            return str((await reader.arun(task)).content)

        self._lead = Agent(model=model(), tools=[delegate], instructions=LEAD, telemetry=False)

    async def job(self, number: int) -> None:
        """One job."""
        del number
        await self._lead.arun(GOAL)


if __name__ == "__main__":
    here = asked()
    run(here, Team(here).job)
