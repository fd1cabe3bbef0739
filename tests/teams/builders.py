"""What is a small team that is right, as text?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

AGENTS = """\
lead:
  role: Lead
  goal: Get it done
  backstory: Has led before
  tools: [look]
  oversight: {duty: supervisor}
worker:
  role: Worker
  goal: Do it
  backstory: Has done it before
  tools: [look, touch]
"""
TASKS = """\
first:
  description: Look at {goal}
  expected_output: A note
second:
  description: Do it
  expected_output: A result
  agent: worker
  context: [first]
"""
POLICY = """\
autonomy: 2
rules:
  - name: careful
    when: {effect: write}
    ruling: ask
"""

Write = Callable[..., Path]
"""Writes a team and returns its folder."""
