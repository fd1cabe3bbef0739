"""Which request do tests of requests and of models begin with?"""

from __future__ import annotations

from crews.runtime.models import ModelRequest

MODEL, OTHER = "claude-sonnet-5-5", "claude-haiku-5-5"
TOOL = {"name": "look", "description": "Look.", "input_schema": {"type": "object"}}
ASKED = ModelRequest(
    thread="/", turn=0, agent="ann", model=MODEL, system="You are ann, Ann.", tools=(TOOL,),
    messages=({"role": "user", "content": "Go on."},), max_tokens=100,
)  # fmt: skip
