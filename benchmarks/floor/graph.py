"""What does the job cost in LangGraph? Its prebuilt agents, one of which calls the other."""

from __future__ import annotations

from langchain_anthropic import ChatAnthropic
from langchain_core.tools import tool
from langgraph.prebuilt import create_react_agent

from benchmarks.floor import reading
from benchmarks.floor.client import MAX_TOKENS, MODEL, Asked, asked, run
from benchmarks.floor.roles import GOAL, LEAD, WORKER

STEPS = {"recursion_limit": 10_000}


class Team:
    """Both graphs, compiled once: they keep nothing of a run."""

    def __init__(self, given: Asked) -> None:
        model = ChatAnthropic(
            model_name=MODEL, api_key="none", base_url=given.url, max_tokens_to_sample=MAX_TOKENS
        )
        files = given.files

        @tool
        def list_files(path: str) -> str:
            """List files beneath a folder."""
            return reading.list_files(files, path)

        @tool
        def read_file(path: str) -> str:
            """Read a text file; each line with its number."""
            return reading.read_file(files, path)

        @tool
        def search(pattern: str) -> str:
            """Find lines by a regular expression."""
            return reading.search(files, pattern)

        reader = create_react_agent(model, [list_files, read_file, search], prompt=WORKER)

        @tool
        async def delegate(worker: int, task: str) -> str:
            """Give a piece of work to a worker."""
            del worker
            done = await reader.ainvoke({"messages": [("user", task)]}, STEPS)
            return done["messages"][-1].text

        self._lead = create_react_agent(model, [delegate], prompt=LEAD)

    async def job(self, number: int) -> None:
        """One job."""
        del number
        await self._lead.ainvoke({"messages": [("user", GOAL)]}, STEPS)


if __name__ == "__main__":
    here = asked()
    run(here, Team(here).job)
