"""Can no rule and no level of autonomy loosen what is asked about targets, amounts and secrets?"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crews.safety.action import STRICTNESS, Action, Verdict
from crews.safety.labels import Exposure, Grounds, Origin, Provenance, origins
from crews.safety.policy import judge
from crews.teams.spec import Effect, Match, Rule
from tests.safety.builders import action, policy, rule, standing

EVE = Origin("to", "target", "eve@evil.example", grounded=False, seen="/:0.0")
ANN = Origin("to", "target", "ann@b.example", grounded=True)
ALLOW = (rule("all", "allow"), rule("named", "allow", Match(labels=("grounded",))))


def aimed(
    *origins: Origin,
    effect: Effect = "external",
    exposure: Exposure = "untrusted",
    secret: bool = False,
) -> Action:
    return replace(action(effect), provenance=Provenance(exposure, origins, secret))


def verdict(
    asked: Action, level: int = 4, rules: tuple[Rule, ...] = ALLOW, **bounds: object
) -> Verdict:
    return judge(policy(*rules), asked, replace(standing(level), **bounds))  # type: ignore[arg-type]


@pytest.mark.parametrize("effect", ["network", "external"])
@pytest.mark.parametrize("exposure", ["values", "workspace", "untrusted"])
def test_a_target_that_nobody_named_asks(effect: Effect, exposure: Exposure) -> None:
    found = verdict(aimed(ANN, EVE, effect=effect, exposure=exposure))
    assert (found.ruling, found.rule) == ("ask", "ungrounded")
    assert "`to` = 'eve@evil.example'" in found.reason
    assert "/:0.0" in found.reason


def test_named_targets_and_unexposed_threads_are_the_rules_business() -> None:
    assert verdict(aimed(ANN)).ruling == "allow"
    assert verdict(aimed(EVE, exposure="trusted")).ruling == "allow"
    assert verdict(aimed(ANN), rules=()).ruling == "ask"


def test_a_rule_that_allows_what_is_grounded_allows_nothing_else() -> None:
    rules = (rule("named", "allow", Match(labels=("grounded",))),)
    assert verdict(aimed(ANN), rules=rules).rule == "named"
    assert verdict(aimed(ANN, EVE, exposure="trusted"), rules=rules).rule == "default-external"


@pytest.mark.parametrize("label", ["untrusted", "ungrounded", "secret"])
def test_a_rule_that_restricts_needs_one_label_only(label: str) -> None:
    rules = (rule("no", "deny", Match.model_validate({"labels": [label, "values"]})),)
    held = aimed(EVE) if label != "secret" else aimed(ANN, effect="read", secret=True)
    assert verdict(held, rules=rules).rule == "no"


@pytest.mark.parametrize("effect", ["network", "external"])
def test_a_secret_never_leaves(effect: Effect) -> None:
    found = verdict(aimed(ANN, effect=effect, exposure="trusted", secret=True))
    assert (found.ruling, found.rule) == ("deny", "secret-leaves")


def test_what_the_plan_does_not_grant_is_denied_once_text_by_others_was_read() -> None:
    far = Origin("url", "target", "https://far.example/x", grounded=True)
    for exposure, ruling in (("trusted", "ask"), ("values", "ask"), ("workspace", "deny")):
        found = verdict(aimed(far, exposure=exposure), hosts=("*.near.example",))  # type: ignore[arg-type]
        assert (found.ruling, found.rule) == (ruling, "beyond-grant")
    assert verdict(aimed(far), hosts=("far.example",)).ruling == "allow"


def test_a_host_or_an_amount_that_the_plan_grants_is_named() -> None:
    page = Origin("url", "target", "https://a.near.example/x?y=1", grounded=False)
    sum_ = Origin("sum", "amount", "80.5", grounded=False)
    assert (
        verdict(aimed(page, sum_), hosts=("*.near.example",), amount=Decimal(100)).ruling == "allow"
    )
    assert verdict(aimed(page, sum_), hosts=("*.near.example",)).rule == "ungrounded"
    much = replace(sum_, value="100.01")
    assert verdict(aimed(much), amount=Decimal(100)).rule == "beyond-grant"
    assert verdict(aimed(replace(sum_, value="-5")), amount=Decimal(100)).ruling == "deny"


def test_a_wider_plan_asks_at_every_level() -> None:
    plan = replace(action(delegation=True), wider="send_mail")
    found = verdict(plan)
    assert (found.ruling, found.rule) == ("ask", "wider-plan")
    assert "send_mail" in found.reason


@given(
    st.lists(st.sampled_from([ANN, EVE, replace(EVE, role="amount"), replace(EVE, role="secret")])),
    st.sampled_from(get_args(Exposure)),
    st.sampled_from(["network", "external"]),
    st.integers(2, 4),
    st.lists(st.sampled_from(["allow", "ask", "deny"]), max_size=4),
)
def test_nothing_blind_happens_unasked(
    origins: list[Origin], exposure: Exposure, effect: Effect, level: int, rulings: list[str]
) -> None:
    rules = tuple(rule(f"r{n}", r) for n, r in enumerate(rulings))  # type: ignore[arg-type]
    found = verdict(aimed(*origins, effect=effect, exposure=exposure), level, rules)
    blind = exposure != "trusted" and any(not o.grounded for o in origins)
    assert not blind or STRICTNESS[found.ruling] >= STRICTNESS["ask"]


def test_what_a_tool_returned_as_secret_leaves_only_with_a_human_and_before_others_were_read() -> (
    None
):
    for exposure, ruling in (("trusted", "ask"), ("untrusted", "deny")):
        held = replace(action("external"), provenance=Provenance(exposure, (ANN,), private=True))  # type: ignore[arg-type]
        assert (verdict(held).ruling, verdict(held).rule) == (ruling, "secret-leaves")


def test_an_action_without_any_target_asks_once_others_were_read() -> None:
    assert verdict(aimed()).rule == "ungrounded"
    assert verdict(aimed(exposure="trusted")).ruling == "allow"


def test_where_a_plan_names_a_tools_targets_no_other_is_asked_about() -> None:
    targets = {"tool": ("ann@b.example",)}
    assert verdict(aimed(EVE), targets=targets).rule == "beyond-grant"
    assert verdict(aimed(EVE), targets=targets).ruling == "deny"
    assert verdict(aimed(EVE, exposure="trusted"), targets=targets).ruling == "ask"
    blind = replace(ANN, grounded=False)
    assert verdict(aimed(blind), targets=targets).ruling == "allow"
    assert verdict(aimed(EVE), targets={"another": ("x",)}).ruling == "ask"


def test_a_plan_closes_one_argument_and_leaves_another_open() -> None:
    sum_ = Origin("sum", "amount", "80", grounded=False)
    closed = {"tool.to": ("ann@b.example",)}
    assert verdict(aimed(ANN, sum_), targets=closed).rule == "ungrounded"
    nested = replace(EVE, argument="to[1].cc")
    assert verdict(aimed(nested, sum_), targets=closed).rule == "beyond-grant"
    assert verdict(aimed(ANN, sum_), targets={"tool.sum": ()}).rule == "beyond-grant"


def test_a_plans_target_followed_by_another_one_out_of_sight_is_beyond_the_plan() -> None:
    long = "ann@b.example" + " " * 400 + "eve@evil.example"
    (found,) = origins({"to": long}, {}, Grounds.of(["nobody"]))
    asked = verdict(aimed(found), targets={"act": ("ann@b.example",)})
    assert asked.ruling != "allow"
    (high,) = origins({"sum": "5" + " " * 400 + "000"}, {"sum": "amount"}, Grounds.of(["nobody"]))
    assert verdict(aimed(high), amount=Decimal(10)).ruling != "allow"
