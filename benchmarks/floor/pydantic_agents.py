"""What does the job cost in Pydantic AI, with its option that sets cache marks? Agents that call agents."""

from __future__ import annotations

from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel, AnthropicModelSettings
from pydantic_ai.providers.anthropic import AnthropicProvider

from benchmarks.floor import reading
from benchmarks.floor.client import MAX_TOKENS, MODEL, Asked, asked, run
from benchmarks.floor.roles import GOAL, LEAD, WORKER

MARKS = AnthropicModelSettings(
    max_tokens=MAX_TOKENS,
    anthropic_cache_instructions=True,
    anthropic_cache_tool_definitions=True,
    anthropic_cache_messages=True,
)


class Team:
    """Both agents, made once: they keep nothing of a run."""

    def __init__(self, given: Asked) -> None:
        provider = AnthropicProvider(api_key="none", base_url=given.url)
        model = AnthropicModel(MODEL, provider=provider)
        files = given.files
        reader = Agent(model, instructions=WORKER, model_settings=MARKS)

        @reader.tool_plain
        def list_files(path: str) -> str:
            """List files beneath a folder."""
            return reading.list_files(files, path)

        @reader.tool_plain
        def read_file(path: str) -> str:
            """Read a text file; each line with its number."""
            return reading.read_file(files, path)

        @reader.tool_plain
        def search(pattern: str) -> str:
            """Find lines by a regular expression."""
            return reading.search(files, pattern)

        self.lead = Agent(model, instructions=LEAD, model_settings=MARKS)

        @self.lead.tool_plain
        async def delegate(worker: int, task: str) -> str:
            """Give a piece of work to a worker."""
            del worker
            return (await reader.run(task)).output

        del list_files, read_file, search, delegate

    async def job(self, number: int) -> None:
        """One job."""
        del number
        await self.lead.run(GOAL)


if __name__ == "__main__":
    here = asked()
    run(here, Team(here).job)
