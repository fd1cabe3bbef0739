"""What does a thread trust from its beginning?"""

from __future__ import annotations

from crews.runtime.knowing import without_settings
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
