"""Do declarations of tools come out of `policy.yaml` as they were written, or with a place and a reason?"""

from __future__ import annotations

import pytest

from crews.errors import TeamError
from crews.teams.loader import check_team, load_team
from crews.teams.source import Problem
from crews.teams.spec import ToolSpec
from tests.teams.builders import AGENTS, POLICY, Write

TOOLS = frozenset({"look", "touch"})
FOREIGN = AGENTS.replace("tools: [look]", 'tools: [look, "shop:Mail"]').replace(
    "tools: [look, touch]", 'tools: [look, touch, "shop:Mail"]'
)
DECLARED = """\
tools:
  send_mail:
    effect: external
    arguments: {to: target, body: content, sum: amount, pin: secret}
    trusted_fields: id
    secret_fields: [passport, card]
  shop:Mail: {result: workspace}
"""


def test_a_declaration_is_what_its_file_says(write: Write) -> None:
    policy = load_team(write(agents=FOREIGN, policy=POLICY + DECLARED), known_tools=TOOLS).policy
    assert policy.declared("send_mail") == ToolSpec(
        name="send_mail",
        effect="external",
        arguments={"to": "target", "body": "content", "sum": "amount", "pin": "secret"},
        trusted_fields=("id",),
        secret_fields=("passport", "card"),
    )
    assert policy.declared("shop:Mail", "mail") == ToolSpec(name="shop:Mail", result="workspace")
    assert policy.declared("mail") is None


@pytest.mark.parametrize(
    ("tools", "what"),
    [
        ("tools: [send_mail]", "'tools' must be a mapping from names"),
        ("tools:\n  send_mail:\n    effect: write", "'write' is no effect"),
        ("tools:\n  send_mail:\n    arguments: [to]", "'arguments' must be a mapping"),
        ("tools:\n  send_mail:\n    arguments: {to: goal}", "'goal' is no to"),
        ("tools:\n  send_mail:\n    result: safe", "'safe' is no result"),
        ("tools:\n  send mail: {effect: read}", "cannot be a tool's name"),
        ("tools:\n  send_mail:", "'send_mail' is empty"),
        ("tools:\n  send_mail: {role: x}", "unknown key 'role'"),
        ("tools:\n  look: {effect: read}", "'look' comes with this engine"),
        ("rules:\n- {name: a, ruling: deny, when: {labels: tainted}}", "'tainted' is no labels"),
    ],
)
def test_what_is_wrong_has_a_place(write: Write, tools: str, what: str) -> None:
    policy = tools if tools.startswith("rules") else POLICY + tools
    with pytest.raises(TeamError) as caught:
        load_team(write(agents=FOREIGN, policy=policy + "\n"), known_tools=TOOLS)
    (problem,) = caught.value.problems
    assert isinstance(problem, Problem)
    assert what in problem.message
    assert problem.line > 0


@pytest.mark.parametrize(
    ("agents", "tools", "what"),
    [
        (AGENTS, "tools:\n  send_mail: {effect: read}\n", "no agent has the tool 'send_mail'"),
        (FOREIGN, "tools:\n  shop:Mial: {effect: read}\n", "no agent has the tool 'shop:Mial'"),
        (
            FOREIGN,
            "tools:\n  x: {result: trusted, trusted_fields: id}\n",
            "says nothing where the whole result is trusted",
        ),
    ],
)
def test_what_leads_nowhere_is_warned_of(write: Write, agents: str, tools: str, what: str) -> None:
    (problem,) = check_team(write(agents=agents, policy=POLICY + tools), known_tools=TOOLS)
    assert problem.severity == "warning"
    assert what in problem.message
