"""How does a command run where the user has written `sandbox: none`?

With all rights of this process: it can read and change whatever the user can, and reach the
network. What stays: an environment without secrets, the limits (but the kernel counts none of
root's processes), control sequences taken out of its output, and nothing left running.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

from crews.tools.keeping import Place, keep, plain_orders
from crews.tools.ownership import found
from crews.tools.sandbox import CommandLimits, CommandResult, Sandbox
from crews.tools.surroundings import interpreter, scratch
from crews.tools.watching import kernel_limits


class Unconfined(Sandbox):
    """No sandbox at all."""

    name: ClassVar[str] = "none"
    confines: ClassVar[bool] = False

    async def run(
        self, command: str, workspace: Path, limits: CommandLimits, writable: bool = True
    ) -> CommandResult:
        """See `Sandbox.run`; `writable` cannot be held to here."""
        del writable
        workspace = await asyncio.to_thread(found, workspace)
        python = interpreter()
        async with scratch(python, None) as private:
            orders = plain_orders(python, private, workspace)
            orders["limits"] = kernel_limits(limits, None)
            return await keep(command, orders, limits, Place(workspace, private, python))
