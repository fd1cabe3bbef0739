"""Which CrewAI tools does a team name in tests? Some say what they do, some what they cannot be."""

from __future__ import annotations

import time
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar

from crewai.tools import BaseTool
from crewai.tools.tool_failure import ToolFailure
from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from datetime import datetime as Unheard

PAID: list[tuple[str, str]] = []
"""Payments that were asked for: the amount and the key."""


class Plain(BaseTool):
    """Says nothing of itself."""

    name: str = "Plain Thing!"
    description: str = "Does a thing."

    def _run(self, thing: str) -> str:
        if thing == "broken":
            raise OSError("no such thing")
        return f"did {thing}"


class PayArgs(BaseModel):
    """The arguments of a payment."""

    amount: str = Field(description="in dollars", max_length=8)
    request: str = Field(description="the same for the same payment", min_length=8)


class Pay(BaseTool):
    """Names the argument that takes the key."""

    name: str = "pay"
    description: str = "Pays."
    args_schema: type[BaseModel] = PayArgs
    crews_idempotency_key: ClassVar[str] = "request"

    def _run(self, amount: str, request: str) -> Any:
        PAID.append((amount, request))
        return ToolFailure(message="no money") if amount == "999" else f"paid {amount}"


class Look(BaseTool):
    """Only reads."""

    name: str = "look"
    description: str = "Looks."
    crews_effect: ClassVar[str] = "read"

    def _run(self) -> str:
        return "seen"


class Ask(Look):
    """Reaches the network; its key is an argument with a default."""

    name: str = "ask"
    crews_effect: ClassVar[str] = "network"
    crews_idempotency_key: ClassVar[str] = "once"

    def _run(self, what: str = "all", once: str = "") -> str:
        return f"{what} {len(once)}"


class Declared(BaseTool):
    """What an instance says of itself counts, too."""

    name: str = "declared"
    description: str = "Is made with its effect."
    crews_effect: Any = "external"
    crews_idempotency_key: Any = ""

    def _run(self, number: int = 0, text: str = "") -> str:
        return f"{number} {text}"


class Short(Declared):
    """Takes no text as long as a key."""

    args_schema: type[BaseModel] = PayArgs


class Vague(BaseTool):
    """Takes what pydantic cannot describe."""

    name: str = "vague"
    description: str = "Is vague."

    def _run(self, when: Unheard) -> str:
        return str(when)


class Record(BaseTool):
    """Returns data, not text."""

    name: str = "record"
    description: str = "Returns a record."

    def _run(self, name: str) -> dict[str, Any]:
        return {"name": name, "iban": "DE89370400440532", "at": date(2026, 1, 2)}


reader = Declared(crews_effect="read")
writer = Declared(crews_effect="write")
runner = Declared(crews_effect="execute")
strange = Declared(crews_effect=["read"])
keyless = Declared(crews_idempotency_key="nothing")
listed = Declared(crews_idempotency_key=["text"])
counting = Declared(crews_idempotency_key="number")
short = Short(crews_idempotency_key="amount")
no_tool = "a text"


class Sleeper(BaseTool):
    """Never answers."""

    name: str = "sleeper"
    description: str = "Sleeps."

    def _run(self) -> str:
        time.sleep(60)
        return "awake"


class Flood(BaseTool):
    """Returns more than anybody can take."""

    name: str = "flood"
    description: str = "Floods."

    def _run(self, what: str) -> Any:
        if what == "text":
            return "x" * 50_000_000
        if what == "wide":
            return {"rows": [["x"] * 1000] * 1000}
        if what == "shared":
            rows: Any = ["x"]
            for _ in range(60):
                rows = [rows] * 10
            return rows
        if what == "number":
            return {"count": 10**6000}
        deep: Any = "x"
        for _ in range(100_000 if what == "deep" else 100):
            deep = [deep]
        return deep
