-- The log, its idempotency keys, and triggers that keep both as they were written.
-- Times are µs since the Unix epoch, UTC. Run once, on an empty file; the
-- transaction stays open for the epoch (eventstore/writer.py).

BEGIN IMMEDIATE;

PRAGMA application_id = 1298230383;  -- "Malo"
PRAGMA user_version = 1;

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    position       INTEGER PRIMARY KEY,  -- 1, 2, 3 …; never AUTOINCREMENT, which may leave gaps
    recorded_at    INTEGER NOT NULL,     -- strictly increasing
    stream         TEXT NOT NULL,        -- inbox:<id> · client:<user>/<device> · system
    conversation   TEXT,
    type           TEXT NOT NULL,
    version        INTEGER NOT NULL,
    data           BLOB,                 -- JSON; NULL once redacted
    data_hash      BLOB NOT NULL,        -- sha256(salt || data)
    salt           BLOB,                 -- NULL once redacted
    correlation_id TEXT,
    causation_id   INTEGER,
    hash           BLOB NOT NULL         -- eventstore/chain.py
) STRICT;

-- Keys are kept for ever, apart from the log: a random key in an index over the log itself costs
-- 3.7 times the append at half a million rows (DESIGN section 8).
CREATE TABLE keys (
    digest   BLOB PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Only what members may see, so that a resume from an old cursor does not wade through heartbeats
-- and acks. It costs 1 to 1.5 µs of the 17 µs that SQLite takes for a keyed message (groups of
-- 1,000, FULL) and nothing for what is not in it; type, so that it covers the query, costs nothing
-- more. Queries repeat this WHERE word for word, or SQLite does not use the index.
CREATE INDEX events_visible ON events (stream, position, type)
    WHERE stream GLOB 'inbox:*' AND type NOT GLOB 'webhook.*';

-- An INSERT OR REPLACE deletes without asking the DELETE trigger; this one fires before it does.
CREATE TRIGGER events_append_only BEFORE INSERT ON events
WHEN NEW.position IS NOT (SELECT ifnull(max(position), 0) + 1 FROM events)
BEGIN SELECT RAISE(ABORT, 'events are appended, without gaps'); END;

CREATE TRIGGER events_stay BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;

-- The one change allowed is erasure: data and salt of a message, webhook or heartbeat, both, to
-- NULL. (What records it is in the same transaction: eventstore/writer.py.)
CREATE TRIGGER events_unchanged BEFORE UPDATE ON events
WHEN NOT (
    (OLD.type GLOB 'message.*' OR OLD.type GLOB 'webhook.*'
        OR OLD.type IN ('heartbeat.answered', 'heartbeat.missed'))
    AND OLD.type <> 'message.redacted'
    AND NEW.data IS NULL AND NEW.salt IS NULL
    AND NEW.position IS OLD.position
    AND NEW.recorded_at IS OLD.recorded_at
    AND NEW.stream IS OLD.stream
    AND NEW.conversation IS OLD.conversation
    AND NEW.type IS OLD.type
    AND NEW.version IS OLD.version
    AND NEW.data_hash IS OLD.data_hash
    AND NEW.correlation_id IS OLD.correlation_id
    AND NEW.causation_id IS OLD.causation_id
    AND NEW.hash IS OLD.hash
)
BEGIN SELECT RAISE(ABORT, 'events never change, redaction aside'); END;

CREATE TRIGGER keys_new BEFORE INSERT ON keys
WHEN EXISTS (SELECT 1 FROM keys WHERE digest = NEW.digest)
BEGIN SELECT RAISE(ABORT, 'a key is used once'); END;

CREATE TRIGGER keys_stay BEFORE DELETE ON keys
BEGIN SELECT RAISE(ABORT, 'keys are never deleted'); END;

CREATE TRIGGER keys_unchanged BEFORE UPDATE ON keys
BEGIN SELECT RAISE(ABORT, 'keys never change'); END;

-- A group goes in by this door, in one statement, which is a transaction by itself: an event and,
-- where it has one, its key. Plain columns only: functions that read JSON are not to be trusted in
-- a schema (trusted_schema=OFF), so what packs and unpacks is in eventstore/writer.py.
CREATE VIEW appended AS SELECT events.*, NULL AS key FROM events;

CREATE TRIGGER appended_with_key INSTEAD OF INSERT ON appended BEGIN
    INSERT INTO events VALUES (
        NEW.position, NEW.recorded_at, NEW.stream, NEW.conversation, NEW.type, NEW.version,
        NEW.data, NEW.data_hash, NEW.salt, NEW.correlation_id, NEW.causation_id, NEW.hash);
    INSERT INTO keys SELECT NEW.key, NEW.position WHERE NEW.key IS NOT NULL;
END;
