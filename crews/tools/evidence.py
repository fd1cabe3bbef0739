"""What is a human shown of a call, what is an approval bound to, and did an interrupted write happen?"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from pydantic import JsonValue

from crews.records import inbox
from crews.records.rows import CallRow
from crews.records.store import Store, dump
from crews.safety.action import Action, FileChange
from crews.safety.labels import AIMED
from crews.tools.base import Judged, ToolError
from crews.tools.diff import file_diff
from crews.tools.workspace import Workspace

LABEL = 100
"""Characters of a label."""


def content_hash(action: Action, team_hash: str, workspace: Workspace) -> str:
    """What an approval is bound to: the call, what it would change, and the team's files.

    What a command or an external tool does depends on the files that it finds: they count, too.
    """
    changes: list[JsonValue] = [[c.path, c.before, c.after] for c in action.changes]
    files = workspace.tree_hash() if action.effect in {"execute", "network", "external"} else ""
    body: list[JsonValue] = [action.tool, dict(action.arguments), changes, team_hash, files]
    return digest(dump(body))


def target(action: Action) -> str:
    """The end of a title: on what the call acts."""
    if action.command:
        return f": {action.command}"
    return f" on {', '.join(action.paths)}" if action.paths else ""


def label(action: Action) -> str:
    """One short line that tells this call from others of the same tool."""
    if action.command or action.paths:
        return (action.command or ", ".join(action.paths)).partition("\n")[0][:LABEL]
    texts = [v for v in action.arguments.values() if isinstance(v, str) and v.strip()]
    return min(texts, key=len, default="").partition("\n")[0][:LABEL]


def subject(action: Action) -> dict[str, Any]:
    """What the review is about, as data for its reader."""
    return {
        "tool": action.tool,
        "effect": action.effect,
        "arguments": dict(action.arguments),
        "command": action.command,
        "paths": list(action.paths),
        "changes": [asdict(c) for c in action.changes],
        "diff": "".join(_diff(c) for c in action.changes),
        "origins": [asdict(origin) for origin in action.provenance.origins],
        "exposure": action.provenance.exposure if action.effect in AIMED else "",
    }


def _diff(change: FileChange) -> str:
    before = None if change.before is None else ("100644", change.before)
    after = None if change.after is None else ("100644", change.after)
    return file_diff(change.path, before, after)


def edit_note(call: CallRow, store: Store) -> str:
    """What the model is told first, where a human changed its arguments; empty: nobody did."""
    if not call.review:
        return ""
    # What was edited may have been asked about once more: the call's review is the last one.
    decided = inbox.list_reviews(store, run=call.run, state="decided")
    mine = [r for r in decided if r.address == call.address and r.kind in {"action", "plan"}]
    if not any(r.decision == "edit" for r in mine):
        return ""
    return f"A human changed the arguments: <human>{call.arguments}</human>\n"


def expected(action: Action) -> str:
    """What a write will change, kept before it happens: a later owner can see whether it did."""
    if action.effect != "write" or not action.changes:
        return ""
    return dump([list(one) for one in digests(action.changes)])


def digests(changes: tuple[FileChange, ...]) -> tuple[Judged, ...]:
    """What an approval or a verdict on these changes is about."""
    return tuple((c.path, _state(c.before), _state(c.after)) for c in changes)


def judged(call: CallRow) -> tuple[Judged, ...]:
    """The changes that the call was judged on; empty: it makes none that could be seen."""
    wanted: list[Judged] = json.loads(call.expected) if call.expected else []
    return tuple((path, before, after) for path, before, after in wanted)


def happened(call: CallRow, workspace: Workspace) -> bool | None:
    """Did an interrupted write happen? None: that cannot be seen."""
    if not call.expected:
        return None
    wanted = judged(call)
    try:
        found = {path: _state(workspace.describe(path)) for path, _, _ in wanted}
    except ToolError:
        return None
    if all(found[path] == after for path, _, after in wanted):
        return True
    return False if all(found[path] == before for path, before, _ in wanted) else None


def _state(content: str | None) -> str:
    return "" if content is None else digest(content)


def digest(text: str) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
