"""Which conversation a conversation id stands for, once contacts turned out to be one person.

``contact.aliased`` says that conversation A joins C. The table keeps the answer flat: each id that
joined another points straight at its *root*, the one id under which all of them are shown. A root
has no row. A join moves everything that pointed at A's root to C's root, so chains and cycles, in
any order, end in one root, and an id is looked up in one step.

Two projections keep this table, each its own, so that either can be folded again alone. ``since``
is where in the log an id came to its root, and the roots it had before stay, so that the same can
be asked of any earlier position.
"""
# ruff: noqa: S608 - SQL is put together from constants of these files; values are always bound

from __future__ import annotations


def alias_tables(name: str, *, merge: str) -> str:
    """The alias table of projection ``name``, and a view that joins two roots.

    ``merge`` is SQL run then: ``new.alias`` is the root that is one no longer, ``new.root`` the one
    it has become, in ``new.inbox`` at ``new.position``.
    """
    return f"""
CREATE TABLE {name}_alias (
    inbox TEXT NOT NULL, alias TEXT NOT NULL, root TEXT NOT NULL, since INTEGER NOT NULL,
    PRIMARY KEY (inbox, alias)
) WITHOUT ROWID;
CREATE TABLE {name}_alias_before (
    inbox TEXT NOT NULL, alias TEXT NOT NULL, root TEXT NOT NULL, since INTEGER NOT NULL,
    until INTEGER NOT NULL, PRIMARY KEY (inbox, alias, since)
) WITHOUT ROWID;
CREATE INDEX {name}_alias_root ON {name}_alias (inbox, root);
CREATE VIEW {name}_join AS SELECT inbox, alias, root, 0 AS position FROM {name}_alias;
CREATE TRIGGER {name}_join_roots INSTEAD OF INSERT ON {name}_join BEGIN
    INSERT INTO {name}_alias_before SELECT inbox, alias, root, since, new.position
    FROM {name}_alias WHERE inbox = new.inbox AND root = new.alias;
    UPDATE {name}_alias SET root = new.root, since = new.position
    WHERE inbox = new.inbox AND root = new.alias;
    INSERT INTO {name}_alias VALUES (new.inbox, new.alias, new.root, new.position);
    {merge}
END;
"""


def join_step(name: str) -> str:
    """The step ``aliased``: conversation ``new.alias`` joins ``new.conversation``.

    Nothing happens where both already are one conversation.
    """
    return f"""
    INSERT INTO {name}_join (inbox, alias, root, position)
    SELECT new.inbox, alias, root, new.position FROM (
        SELECT {root_of(name, "new.inbox", "new.alias")} AS alias,
            {root_of(name, "new.inbox", "new.conversation")} AS root
    ) WHERE alias <> root;
"""


def root_of(name: str, inbox: str, conversation: str) -> str:
    """A SQL expression: the root of the conversation that two SQL expressions name."""
    return (
        f"ifnull((SELECT root FROM {name}_alias"
        f" WHERE inbox = {inbox} AND alias = {conversation}), {conversation})"
    )


def root_at(name: str, inbox: str, conversation: str, at: str = ":as_of") -> str:
    """As :func:`root_of`, of the root it had at a position, a SQL expression too."""
    of = f"inbox = {inbox} AND alias = {conversation} AND since <= {at}"
    return f"""coalesce(
        (SELECT root FROM {name}_alias WHERE {of}),
        (SELECT root FROM {name}_alias_before WHERE {of} AND until > {at}),
        {conversation})"""


def members_of(name: str, inbox: str, root: str) -> str:
    """A SQL subquery: the ids under which events of this root may have been recorded."""
    return (
        f"(SELECT {root} UNION ALL SELECT alias FROM {name}_alias"
        f" WHERE inbox = {inbox} AND root = {root})"
    )
