"""Does a review name who owns what changes, whatever agents make of CODEOWNERS, and what they say themselves?"""

from __future__ import annotations

import json

from crews.cli.parts import review_parts
from tests.stories.players import delivery, hand_over, rule, team
from tests.stories.scenes import staged
from tests.support.scripts import call, reply

FILES = {
    "a.txt": "one\n",
    "pay/b.c": "int a;\n",
    ".github/CODEOWNERS": "* @org/all\n/pay/ @org/security\n",
}
WORK = reply(
    call("write_file", path="pay/b.c", content="int b;\n"),
    call("write_file", path=".github/CODEOWNERS", content="* @org/nobody\n"),
)


def test_a_review_names_the_owners_as_they_were_and_what_the_agent_says() -> None:
    asks = rule("owned", "ask", at="change_set", owners="@org/sec*")
    told = hand_over(sensitive=["crypto", "the tariff"])
    with staged(delivery(WORK, told), team(rules=[asks]), FILES) as stage:
        (review,) = stage.run().waiting_for

        assert review.about["owners"] == ["@org/all", "@org/security"]
        assert "owned" in review.rule
        found = {(f["category"], f["path"], f["stated"]) for f in json.loads(review.findings)}
        assert ("owned", "pay/b.c", False) in found
        assert ("permissions", ".github/CODEOWNERS", False) in found
        assert {("crypto", "", True), ("stated", "", True)} <= found
        (shown,) = [p for p in review_parts(review) if p.title == "owners by CODEOWNERS"]
        assert shown.text == "@org/all, @org/security"


def test_a_question_before_a_call_names_the_owners_too() -> None:
    asks = rule("owned", "ask", owners="@org/security")
    with staged(delivery(WORK), team(rules=[asks]), FILES) as stage:
        (review,) = stage.run().waiting_for

        assert review.about["owners"] == ["@org/security"]
        assert any(p.title == "owners by CODEOWNERS" for p in review_parts(review))
