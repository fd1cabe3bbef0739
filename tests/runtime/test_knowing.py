"""What does a thread trust from its beginning?"""

from __future__ import annotations

from pydantic import JsonValue

from crews.runtime.knowing import rewritten, without_settings
from crews.safety.labels import Grounds


def test_a_number_that_sets_something_is_no_amount() -> None:
    grounds = Grounds.of(
        [
            without_settings(
                "limits:\n  tokens: 200000  # plenty\nautonomy: 3\ngoal: Pay 40 to Ann.\n"
            )
        ]
    )
    assert not grounds.hold("200000")
    assert not grounds.hold("3")
    assert grounds.hold("40")


def test_what_a_human_left_standing_within_a_line_is_no_word_of_theirs() -> None:
    before: JsonValue = {"to": "eve@evil.example", "body": "Copy: mallory@evil.example"}
    after: JsonValue = {
        "to": "ann@b.example",
        "body": "Dear Ann. Copy: mallory@evil.example, please",
    }
    grounds = Grounds.of(rewritten(before, after))
    assert grounds.hold("ann@b.example")
    assert not grounds.hold("mallory@evil.example")
