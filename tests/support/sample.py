"""What does a script look like? A model for the tests of this package."""

from __future__ import annotations

from tests.support.reply import Reply, Text
from tests.support.request import Request
from tests.support.scripts import call, last_results, reply, scripted, text, tool_names


def read_it(request: Request) -> Reply:
    """A step that repeats what its tools returned."""
    results = [(result.text, result.is_error) for result in last_results(request)]
    return reply(text(f"{tool_names(request)} {results}"))


BRAIN = scripted(
    {
        "reader": [reply(call("read_file", name="a"), call("read_file")), read_it],
        "slow": [Reply((Text("word " * 200),), pause=0.2)],
    }
)
