r"""The history as lines: NDJSON, from which it can be imported again, and CloudEvents 1.0.

A line of NDJSON is the event as every surface shows it, with what an auditor needs to check it:
``stream``, ``correlation_id``, ``causation_id``, ``hash``, ``data_hash``, ``salt``, and in exports
``key``, the idempotency key with four bytes of check, since no hash of the log covers it. ``data``
come last in both forms and are the stored bytes, for the hash is over bytes: a reader that wants to
check them takes what stands between ``,"data":`` and the last brace.

No byte of a line is free: what is read is written again and compared. ``eventstore/verify.py``
does the same without importing a line of this.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Any

import orjson
from attrs import frozen

from eventstore.codec import encode_recorded, time_text
from eventstore.draft import KEY_BYTES
from eventstore.events import RecordedEvent

_DATA = b',"data":'
_EPOCH_TIME = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class LineMalformed(ValueError):
    """The line is none that an export has."""


@frozen
class HistoryRow:
    """An event with its commitment: ``salt`` is None once erased, ``key`` where it has none."""

    event: RecordedEvent
    data_hash: bytes
    salt: bytes | None
    key: bytes | None = None


def ndjson(row: HistoryRow, epoch: str) -> bytes:
    """The row as one JSON object, without a line feed."""
    event = row.event
    head, _, _ = encode_recorded(event, epoch).partition(_DATA)
    more = {
        "stream": event.stream,
        "correlation_id": event.correlation_id,
        "causation_id": event.causation_id,
        "hash": event.hash.hex(),
        "data_hash": row.data_hash.hex(),
        "salt": None if row.salt is None else row.salt.hex(),
    }
    if row.key is not None:
        more["key"] = (row.key + _key_check(event.position, row.key)).hex()
    return b"%b,%b%b%b}" % (head, orjson.dumps(more)[1:-1], _DATA, event.data or b"null")


def cloudevents(row: HistoryRow, epoch: str) -> bytes:
    """The row as a CloudEvents 1.0 object; what is not there has no attribute."""
    event = row.event
    cause = None if event.causation_id is None else str(event.causation_id)
    attributes = {
        "specversion": "1.0",
        "id": str(event.position),
        "source": f"urn:malote:{epoch}",
        "type": event.type,
        "time": time_text(event.recorded_at),
        "datacontenttype": "application/json",
        "subject": event.conversation,
        "stream": event.stream,
        "eventversion": event.version,
        "correlationid": event.correlation_id,
        "causationid": cause,
        "hash": event.hash.hex(),
        "datahash": row.data_hash.hex(),
        "salt": None if row.salt is None else row.salt.hex(),
    }
    present = {name: value for name, value in attributes.items() if value is not None}
    return b"%b%b%b}" % (orjson.dumps(present)[:-1], _DATA, event.data or b"null")


FORMATS = {"ndjson": ndjson, "cloudevents": cloudevents}


def read_ndjson(line: bytes) -> HistoryRow:
    """The row that :func:`ndjson` wrote as this line, line feed included.

    Raises :class:`LineMalformed`.
    """
    head, _, data = line.removesuffix(b"}\n").partition(_DATA)
    try:
        fields = orjson.loads(head + b"}")
        row, epoch = _row(fields, None if data == b"null" else data)
        if ndjson(row, epoch) + b"\n" == line:
            return row
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        pass
    raise LineMalformed("it is none that `malote export` wrote, or it was changed")


def _row(fields: dict[str, Any], data: bytes | None) -> tuple[HistoryRow, str]:
    since = datetime.fromisoformat(fields["time"]) - _EPOCH_TIME
    at = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    salt, key = fields["salt"], fields.get("key")
    event = RecordedEvent(
        fields["position"], at, fields["stream"], fields["conversation"], fields["type"],
        fields["version"], data, fields["correlation_id"], fields["causation_id"],
        bytes.fromhex(fields["hash"]),
    )  # fmt: skip
    row = HistoryRow(
        event,
        bytes.fromhex(fields["data_hash"]),
        None if salt is None else bytes.fromhex(salt),
        None if key is None else bytes.fromhex(key)[:KEY_BYTES],
    )
    return row, fields["cursor"].split(".")[0]


def _key_check(position: int, key: bytes) -> bytes:
    return sha256(b"malote key/1\n%d\n" % position + key).digest()[:4]
