"""Every projection keeps to the form that the projector relies on."""

from __future__ import annotations

import sqlite3
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventstore.codec import EVENT_TYPES, decode_recorded
from projections import PROJECTIONS
from projections.projection import ROWS_MAX, Projection, Statement
from projections.store import statements_of
from tests.projections.history import Fact, Log
from tests.projections.hostile import facts

by_name = pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda p: p.name)


@by_name
@given(history=st.lists(facts, min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_a_statement_names_a_step_and_columns_there_are_and_only_wanted_types_give_one(
    projection: Projection, history: list[Fact]
) -> None:
    """A misspelt column would be NULL, and a type not declared would never be seen."""
    for recorded in Log(*history).events:
        for event in (decode_recorded(recorded), None):
            statement = projection.evolve(recorded, event)
            if statement is not None:
                assert recorded.type in projection.types
                assert statement.step in projection.steps
                assert set(statement.values) <= set(projection.columns)


@by_name
def test_everything_a_projection_makes_is_called_after_it_and_no_table_has_a_trigger(
    projection: Projection,
) -> None:
    """By the name it is found and dropped; a trigger would fire while rows are copied."""
    db = sqlite3.connect(":memory:")
    for statement in statements_of(projection.schema):
        db.execute(statement)
    made = db.execute("SELECT type, name, tbl_name FROM sqlite_master WHERE sql NOTNULL").fetchall()
    views = {name for kind, name, _ in made if kind == "view"}
    for kind, name, on in made:
        assert name == projection.name or name.startswith(f"{projection.name}_")
        assert kind != "trigger" or on in views
    db.close()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 127, 128, 129, 300])
def test_every_statement_goes_in_once_and_in_order(count: int) -> None:
    """However many: rows that only fill an INSERT up leave nothing, and there are few lengths."""
    rows = Projection(
        name="rows",
        version=1,
        types=frozenset(),
        tables="CREATE TABLE rows (number INTEGER PRIMARY KEY, one, other);",
        columns=("one", "other"),
        steps={"put": "INSERT INTO rows (one, other) VALUES (new.one, new.other);"},
        evolve=lambda _recorded, _event: None,
    )
    db = sqlite3.connect(":memory:")
    for statement in statements_of(rows.schema):
        db.execute(statement)
    lengths = set()
    for sql, values in rows.inserts([Statement("put", {"other": n}) for n in range(count)]):
        db.execute(sql, values)
        lengths.add(len(values) // 3)
    assert db.execute("SELECT one, other FROM rows ORDER BY number").fetchall() == [
        (None, number) for number in range(count)
    ]
    assert lengths <= {1, 2, 4, 8, 16, 32, 64, 128}
    db.close()


def test_the_widest_row_fits_into_sqlite_s_parameters() -> None:
    """More than 32,766 in one statement are refused, by a page that nobody tried."""
    assert max(len(each.columns) + 1 for each in PROJECTIONS) * ROWS_MAX <= 32_766


def test_names_do_not_contain_each_other() -> None:
    """A projection that is dropped must not take another's tables with it."""
    names = [projection.name for projection in PROJECTIONS]
    assert not [(a, b) for a in names for b in names if b.startswith(f"{a}_")]
    assert len(set(names)) == len(names)


def test_every_type_that_is_wanted_exists() -> None:
    """A misspelt type would silently never come."""
    wanted = defaultdict(set)
    for projection in PROJECTIONS:
        for type_ in projection.types:
            wanted[type_].add(projection.name)
    assert set(wanted) <= set(EVENT_TYPES)
