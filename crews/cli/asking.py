"""How is a review put to the human at the terminal? Single keys; only an explicit one is a yes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from crews.api import Answer
from crews.cli.editing import Desk, edit_for
from crews.cli.keys import LEAVE, OVER, Keys
from crews.cli.parts import choices_part, review_parts
from crews.cli.render import SHORT, parts_drawn, shortened
from crews.records.questions import Decision, ReviewRow
from crews.records.rows import RunRow

if TYPE_CHECKING:
    from rich.console import Console

    from crews.cli.live import Face
    from crews.tools.changeset import ChangeSet

LETTERS: dict[Decision, str] = {
    "approve": "a", "edit": "e", "reject": "r", "answer": "t", "stop": "s",
    "escalate": "u",
}  # fmt: skip
"""The key of each decision; `t` for text, `u` for up."""
_GRACE = 3.0
"""Seconds in which who decided elsewhere may go on there."""


class Inline:
    """Asks about reviews in the terminal that shows the run; see `api.Asker`."""

    def __init__(
        self,
        face: Face,
        console: Console,
        keys: Keys,
        *,
        run: Callable[[ReviewRow], RunRow],
        changes: Callable[[ReviewRow], ChangeSet],
        now: Callable[[ReviewRow], ReviewRow],
    ) -> None:
        self._face = face
        self._console = console
        self._keys = keys
        self._run = run
        self._now = now
        self._desk = Desk(keys, self._say, changes)
        self._left: set[str] = set()

    def __call__(self, review: ReviewRow) -> Answer | None:
        """The human's decision; None: left open, and not asked about again."""
        if review.id in self._left:
            return None
        with self._face.paused(), self._keys.raw():
            answer = self._ask(review)
        if answer is None:
            self._leave(review)
        return answer

    def _leave(self, review: ReviewRow) -> None:
        now = self._now(review)
        if now.state == "open":
            self._left.add(review.id)
            self._console.print(f"review {review.id} stays open")
            return
        by = f": {now.decision} by {now.decided_by}" if now.decision else ""
        self._console.print(f"review {review.id} was decided elsewhere{by}")
        time.sleep(_GRACE)

    def _say(self, text: str) -> None:
        self._console.file.write(text)
        self._console.file.flush()

    def _ask(self, review: ReviewRow) -> Answer | None:
        self._show(review, SHORT)
        while True:
            # First forget, then ask: what is typed once the question can be read counts.
            self._keys.forget()
            self._prompt(review)
            key = self._keys.key(lambda: self._now(review).state != "open")
            if key in {LEAVE, OVER, "q"}:
                return None
            if key == "v":
                self._show(review, None)
            elif key == "?":
                self._console.print(parts_drawn([choices_part(review)]))
            elif (choice := _choice(review, key)) and (answer := self._take(choice, review)):
                return answer

    def _show(self, review: ReviewRow, limit: int | None) -> None:
        parts = review_parts(review, self._run(review))
        self._console.rule(style="yellow")
        self._console.print(parts_drawn(parts, limit))

    def _prompt(self, review: ReviewRow) -> None:
        from rich.text import Text

        keys = [f"{LETTERS[choice]} {choice}" for choice in review.choices]
        if shortened(review_parts(review)):
            keys.append("v see all")
        keys += ["? help", "q leave it open"]
        self._console.print(Text("   ".join(keys), style="bold yellow"))

    def _take(self, choice: Decision, review: ReviewRow) -> Answer | None:
        match choice:
            case "approve":
                return self._approve(review)
            case "edit":
                edit = edit_for(review, self._desk)
                return None if edit is None else Answer("edit", edit=edit)
            case "reject" | "answer":
                return self._with_text(choice, review)
            case "escalate":
                return Answer("escalate")
            case "stop":
                return Answer("stop") if self._twice("s", "end the whole run") else None

    def _approve(self, review: ReviewRow) -> Answer | None:
        brief = review.briefing
        risky = brief is not None and brief.risk == "high"
        if risky and not self._twice("a", "approve what is said to be of high risk"):
            return None
        return Answer("approve")

    def _twice(self, key: str, what: str) -> bool:
        self._keys.forget()
        self._say(f"press {key} again to {what}; any other key goes back\n")
        return self._keys.key() == key

    def _with_text(self, choice: Decision, review: ReviewRow) -> Answer | None:
        if review.kind == "unknown":
            return self._happened()
        needed = choice == "answer" or review.kind != "budget"
        question = "why (the agent is told)?" if choice == "reject" else "your answer:"
        text = self._desk.ask(question)
        if text is None or (needed and not text.strip()):
            self._say("nothing was decided: it needs a text\n" if text is not None else "")
            return None
        return Answer(choice, text.strip())

    def _happened(self) -> Answer | None:
        self._keys.forget()
        self._say("did it happen? d done, n not done; any other key goes back\n")
        answers = {"d": "done", "n": "not done"}
        found = answers.get(self._keys.key())
        return Answer("answer", found) if found else None


def _choice(review: ReviewRow, key: str) -> Decision | None:
    return next((c for c in review.choices if LETTERS[c] == key), None)
