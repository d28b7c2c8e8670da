"""Strict JSON: what is taken, what is refused, and that it never does anything else."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.strict_json import DEPTH_MAX, StrictJsonError, loads

REFUSED = {
    "nothing": b"",
    "white space only": b" \n",
    "two texts": b"{}{}",
    "trailing comma": b"[1,]",
    "single quotes": b"{'a':1}",
    "a comment": b"[1] // one",
    "NaN": b"[NaN]",
    "Infinity": b'{"a":Infinity}',
    "minus Infinity": b"-Infinity",
    "number beyond a double": b"[1e999]",
    "leading zero": b"[01]",
    "integer 2^63": b"[9223372036854775808]",
    "integer below -2^63": b"[-9223372036854775809]",
    "integer 2^64 as a member": b'{"a":18446744073709551616}',
    "integer of 5,000 digits": b"9" * 5000,
    "equal keys": b'{"a":1,"a":2}',
    "equal keys with equal values": b'{"a":1,"a":1}',
    "equal keys, one escaped": b'{"a":1,"\\u0061":2}',
    "equal keys far inside": b'[{"x":[{"y":{"a":1 , "b":2,\n"a" : 3}}]}]',
    "equal keys behind colons in strings": b'{"a:":":\\":","b":1,"b":2}',
    "equal keys behind an escaped backslash": b'{"a":"\\\\","b":1,"b":2}',
    "three equal keys": b'{"a":1,"a":2,"a":3}',
    "lone high surrogate": b'["\\ud83d"]',
    "lone low surrogate": b'["\\ude2e"]',
    "surrogates in the wrong order": b'["\\ude2e\\ud83d"]',
    "lone surrogate as a key": b'{"\\ud800":1}',
    "surrogate encoded as UTF-8": b'["\xed\xa0\x80"]',
    "latin-1": b'["caf\xe9"]',
    "overlong UTF-8": b'["\xc0\xaf"]',
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "raw control character": b'["a\x00b"]',
    "one level too deep": b"[" * (DEPTH_MAX + 1) + b"]" * (DEPTH_MAX + 1),
    "one level too deep with objects": b'{"a":' * (DEPTH_MAX + 1) + b"1" + b"}" * (DEPTH_MAX + 1),
    "1,000 levels": b"[" * 1000 + b"]" * 1000,
    "100,000 levels": b"[" * 100_000 + b"]" * 100_000,
    "100,000 levels unclosed": b"[" * 100_000,
    "100,000 levels of objects": b'{"a":' * 100_000,
}

TAKEN: dict[bytes, Any] = {
    b"{}": {},
    b" [ ] ": [],
    b"null": None,
    b'"text"': "text",
    b'{"a":{"a":{"a":1}}}': {"a": {"a": {"a": 1}}},
    b'[{"a":1},{"a":2}]': [{"a": 1}, {"a": 2}],
    b'{"a":"\\":\\"b\\":1"}': {"a": '":"b":1'},
    b'{"a:b":"c:d","e\\\\":":"}': {"a:b": "c:d", "e\\": ":"},
    b'{"a\\\\\\"":1}': {'a\\"': 1},
    b'["\\ud83d\\ude2e"]': ["😮"],
    b'["\\u0000"]': ["\x00"],
    b"[9223372036854775807,-9223372036854775808]": [2**63 - 1, -(2**63)],
    b"[0.12345678901234567890123]": [0.12345678901234568],
    b"[12345678901234567890.5,1e0000000000000000000002]": [12345678901234567890.5, 100.0],
    b'["99999999999999999999999999"]': ["99999999999999999999999999"],
    b"[true,false]": [True, False],
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_what_two_readers_could_read_differently_is_refused(body: bytes) -> None:
    """Each row of the hostile table is a StrictJsonError, never another exception."""
    with pytest.raises(StrictJsonError):
        loads(body)


@pytest.mark.parametrize("body", TAKEN, ids=repr)
def test_plain_json_is_read(body: bytes) -> None:
    """What is unambiguous is taken, however it is written."""
    assert loads(body) == TAKEN[body]


def test_the_deepest_allowed_nesting_is_read() -> None:
    """Exactly 64 containers within one another are taken, whatever lies in the innermost."""
    inner: Any = 1
    for _ in range(DEPTH_MAX):
        inner = [inner]
    assert loads(orjson.dumps(inner)) == inner


def test_the_depth_is_the_callers_choice() -> None:
    """``depth_max`` counts containers: 2 allow [[1]], not [[[1]]]."""
    assert loads(b"[[1]]", depth_max=2) == [[1]]
    with pytest.raises(StrictJsonError, match="deeper than 2"):
        loads(b"[[[1]]]", depth_max=2)


def test_a_refusal_does_not_repeat_the_content() -> None:
    """The message names the rule; a body is personal data and has no business in a log line."""
    with pytest.raises(StrictJsonError) as refusal:
        loads(b'{"private":1,"private":2}')
    assert "private" not in str(refusal.value)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('":\\{},'))
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('":\\'), max_size=8)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=20
)


@settings(deadline=None)
@given(value=VALUES, ascii_only=st.booleans(), indent=st.none() | st.just(1))
def test_every_ordinary_value_survives(value: Any, ascii_only: bool, indent: int | None) -> None:
    """Whatever a standard encoder writes comes back equal: no false alarm of the extra checks."""
    body = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert loads(body) == value


@settings(deadline=None)
@given(members=st.dictionaries(KEYS, SCALARS, min_size=1), again=SCALARS, data=st.data())
def test_a_repeated_key_is_found_wherever_it_is(
    members: dict[str, Any], again: Any, data: st.DataObject
) -> None:
    """An object in which any one key comes twice is refused, however its strings look."""
    key = data.draw(st.sampled_from(sorted(members)))
    pairs = [*members.items(), (key, again)]
    inside = ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in pairs)
    with pytest.raises(StrictJsonError, match="equal keys"):
        loads(f'{{"outer":[{{{inside}}}]}}'.encode())


@settings(deadline=None)
@given(st.binary(max_size=64))
def test_arbitrary_bytes_are_read_or_refused(body: bytes) -> None:
    """Nothing but a value or a StrictJsonError comes out."""
    try:
        value = loads(body)
    except StrictJsonError:
        return
    assert value == json.loads(body)
