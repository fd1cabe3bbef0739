"""Is a row the value of its table's columns, and what can be read off it?"""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal

import pytest
from sqlalchemy import Table

from crews.records import tables
from crews.records.audit import AuditRow
from crews.records.questions import ReviewRow
from crews.records.rows import (
    CallRow,
    RunRow,
    ThreadRow,
    TurnRow,
    call_address,
    child_path,
    dollars,
)
from crews.records.store import Store
from tests.records.builders import blocks, call, owned, thread, turn


@pytest.mark.parametrize(
    ("row", "table"),
    [
        (RunRow, tables.runs),
        (ThreadRow, tables.threads),
        (TurnRow, tables.turns),
        (CallRow, tables.calls),
        (ReviewRow, tables.reviews),
        (AuditRow, tables.audit),
    ],
)
def test_fields_are_columns(row: type, table: Table) -> None:
    names = [f.name for f in fields(row)]
    assert sorted(names) == sorted(c.name for c in table.columns)


def test_money_is_exact() -> None:
    assert dollars(1) == Decimal("0.000000001")
    assert dollars(123_456_789_012_345_678) == Decimal("123456789.012345678")


def test_places_in_a_run_are_named_by_turns_and_calls() -> None:
    assert call_address("/", 2, 1) == "/:2.1"
    assert child_path("/", 2, 1) == "/2.1"
    assert child_path("/2.1", 0, 3) == "/2.1/0.3"


def test_a_turn_counts_every_token(store: Store) -> None:
    row = turn(owned(store), input_tokens=1, output_tokens=20, cache_write_tokens=300,
               cache_read_tokens=4000, blocks=blocks({"type": "text", "text": "é"}))  # fmt: skip
    assert row.tokens == 4321
    assert row.content == [{"type": "text", "text": "é"}]


def test_a_thread_reads_its_grant_and_its_limits(store: Store) -> None:
    row = thread(owned(store), grants='{"tools":["look"],"writes":true}', limits='{"money":"0.10"}')
    assert row.grant.tools == ("look",)
    assert row.grant.writes
    assert row.walls.money == Decimal("0.10")
    assert row.outcome is None


def test_a_call_reads_its_arguments(store: Store) -> None:
    row = call(owned(store), path="/1.0", turn=3, place=2, arguments='{"path":"a b"}')
    assert row.args == {"path": "a b"}
    assert row.address == "/1.0:3.2"
