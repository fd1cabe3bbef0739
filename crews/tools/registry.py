"""Which tools can a team name, and how is one made?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crews.tools.base import Tool
    from crews.tools.results import Lookup

TOOL_NAMES = frozenset(
    {
        "list_files",
        "read_file",
        "search",
        "write_file",
        "edit_file",
        "delete_file",
        "run_command",
        "read_result",
    }
)
"""Names that may stand under `tools:` in a team's YAML."""


def build(lookup: Lookup) -> dict[str, Tool[Any]]:
    """Every registered tool by name. `lookup` finds the whole text of a clipped result."""
    from crews.tools.files import DeleteFile, EditFile, ListFiles, ReadFile, WriteFile
    from crews.tools.results import ReadResult
    from crews.tools.search import Search
    from crews.tools.shell import RunCommand

    tools: tuple[Tool[Any], ...] = (
        ListFiles(),
        ReadFile(),
        Search(),
        WriteFile(),
        EditFile(),
        DeleteFile(),
        RunCommand(),
        ReadResult(lookup),
    )
    return {tool.name: tool for tool in tools}
