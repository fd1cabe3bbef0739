"""Does an effect happen that the audit log refuses to hold? On either database, never."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from crews.errors import StoreError
from crews.records.store import Store
from crews.teams.spec import Effect
from crews.tools.files import WriteFile
from tests.tools.bench import Bench, laid_out, probe, rule, ruled

EFFECTS: tuple[Effect, ...] = ("read", "execute", "network", "external")


@pytest.fixture
def bench(tmp_path: Path, database: str) -> Iterator[Bench]:
    with laid_out(tmp_path, database) as made:
        yield made


def refuse(store: Store, kind: str) -> None:
    """Have the database refuse entries of one kind."""
    if store.engine.dialect.name == "postgresql":
        statements = (
            "CREATE FUNCTION no() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'no'; END $$ LANGUAGE plpgsql",
            f"CREATE TRIGGER no BEFORE INSERT ON audit FOR EACH ROW WHEN (NEW.kind = '{kind}') "
            "EXECUTE FUNCTION no()",
        )
    else:
        statements = (
            f"CREATE TRIGGER no BEFORE INSERT ON audit WHEN NEW.kind = '{kind}' "
            "BEGIN SELECT RAISE(ABORT, 'no'); END",
        )
    with store.writing() as connection:
        for statement in statements:
            connection.execute(text(statement))


@pytest.mark.parametrize("kind", ["verdict", "effect_started"])
@pytest.mark.parametrize("effect", EFFECTS)
def test_what_cannot_be_written_down_does_not_happen(
    bench: Bench, effect: Effect, kind: str
) -> None:
    bench, tool = ruled(bench, rule("allow", effect)), probe(effect)
    refuse(bench.store, kind)
    row = bench.propose("probe", text="x")
    with pytest.raises(StoreError):
        bench.settle(row, tool)
    assert tool.runs == []
    assert bench.now(row).state == "proposed"


@pytest.mark.parametrize("kind", ["verdict", "effect_started"])
def test_a_file_is_not_written(bench: Bench, kind: str) -> None:
    bench = ruled(bench, rule("allow", "write"))
    refuse(bench.store, kind)
    row = bench.propose("write_file", path="a.txt", content="two\n")
    with pytest.raises(StoreError):
        bench.settle(row, WriteFile())
    assert bench.workspace.read_text("a.txt") == "one\n"


@pytest.mark.parametrize("effect", EFFECTS)
def test_without_the_table_nothing_happens(bench: Bench, effect: Effect) -> None:
    bench, tool = ruled(bench, rule("allow", effect)), probe(effect)
    row = bench.propose("probe", text="x")
    with bench.store.writing() as connection:
        connection.execute(text("DROP TABLE audit"))
    with pytest.raises(StoreError):
        bench.settle(row, tool)
    assert tool.runs == []
