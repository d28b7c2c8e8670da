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
                assert set(statement.values) <= set().union(*projection.columns.values())


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


ROWS = Projection(
    name="rows",
    version=1,
    types=frozenset(),
    tables="CREATE TABLE rows (number INTEGER PRIMARY KEY, step TEXT, one, other);",
    steps={
        "put": "INSERT INTO rows (step, one, other) VALUES ('put', new.one, new.other);",
        "mark": "INSERT INTO rows (step, other) VALUES ('mark', new.other);",
    },
    evolve=lambda _recorded, _event: None,
)


@given(runs=st.lists(st.tuples(st.sampled_from(["put", "mark"]), st.integers(1, 300)), max_size=12))
@settings(max_examples=60, deadline=None)
def test_every_statement_goes_in_once_and_in_order(runs: list[tuple[str, int]]) -> None:
    """However many, and however their steps alternate; and by few INSERTs, of few lengths."""
    steps = [step for step, count in runs for _ in range(count)]
    statements = [Statement(step, {"other": number}) for number, step in enumerate(steps)]
    db = sqlite3.connect(":memory:")
    for statement in statements_of(ROWS.schema):
        db.execute(statement)
    inserts = list(ROWS.inserts(statements))
    for sql, values in inserts:
        db.execute(sql, values)
    assert db.execute("SELECT step, one, other FROM rows ORDER BY number").fetchall() == [
        (step, None, number) for number, step in enumerate(steps)
    ]
    assert len({sql for sql, _ in inserts}) <= 3 * ROWS_MAX.bit_length()
    db.close()


def test_steps_that_alternate_go_in_together() -> None:
    """A statement each would give the GIL away a thousand times a page."""
    statements = [Statement(step, {"other": 1}) for step in ("put", "mark") * 500]
    assert (
        len(list(ROWS.inserts(statements))) <= len(statements) // ROWS_MAX + ROWS_MAX.bit_length()
    )


def test_the_widest_row_fits_into_sqlite_s_parameters() -> None:
    """More than 32,766 in one statement are refused, by a page that nobody tried."""
    widths = [len({"step"}.union(*each.columns.values())) for each in PROJECTIONS]
    assert max(widths) * ROWS_MAX <= 32_766


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
