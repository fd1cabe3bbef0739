"""When is a rule's regular expression compiled? When it is first tried.

The tables hold a hundred of them, and to compile them all takes longer than most commands do.
"""

from __future__ import annotations

import re
from functools import cache


@cache
def compiled(text: str) -> re.Pattern[str]:
    """The expression; kept for as long as the process lives."""
    return re.compile(text)
