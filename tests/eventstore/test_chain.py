"""The canonical envelope is unambiguous and every part of it counts."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from eventstore.chain import GENESIS, data_hash, header, link

_line = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), min_size=1)
_envelope = st.tuples(
    st.integers(1, 2**63 - 1),
    st.integers(1, 2**63 - 1),
    _line,
    st.none() | _line,
    _line,
    st.integers(1, 99),
    st.none() | _line,
    st.none() | st.integers(1, 2**63 - 1),
)


@given(_envelope, _envelope)
def test_two_envelopes_never_share_a_header(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    """G20: no two sets of fields read the same."""
    assert (header(*one) == header(*other)) == (one == other)


@given(_envelope, st.data())
def test_each_field_is_in_the_header(envelope: tuple[Any, ...], data: st.DataObject) -> None:
    """Changing any one field changes the bytes that are hashed."""
    index = data.draw(st.integers(0, 7))
    other = data.draw(_envelope.map(lambda fields: fields[index]))
    changed = (*envelope[:index], other, *envelope[index + 1 :])
    assert (header(*envelope) == header(*changed)) == (other == envelope[index])


def test_the_hashes_are_those_written_down() -> None:
    """The formulas of the module's docstring, spelled out; the verifier relies on them."""
    envelope = header(1, 2, "inbox:a", None, "x.y", 3, "r", 4)
    assert envelope == b"malote/1\n1\n2\ninbox:a\n\nx.y\n3\nr\n4\n"
    assert data_hash(b"salt", b"data") == sha256(b"saltdata").digest()
    assert link(GENESIS, b"h", b"d") == sha256(bytes(32) + b"hd").digest()
