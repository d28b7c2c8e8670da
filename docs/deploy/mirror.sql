-- What the log has and the mirror does not, in one transaction: sqlite3 /var/lib/malote-mirror/log.db < mirror.sql
-- The mirror began as a backup (malote backup /var/lib/malote-mirror/log.db) and is a log like any other.
PRAGMA journal_mode = WAL;
ATTACH 'file:/var/lib/malote/log.db?mode=ro' AS live;
BEGIN IMMEDIATE;
INSERT INTO main.keys
    SELECT digest, position FROM live.keys
    WHERE position > (SELECT max(position) FROM main.events)
      AND position <= (SELECT max(position) FROM live.events);
INSERT INTO main.events
    SELECT * FROM live.events
    WHERE position > (SELECT max(position) FROM main.events) ORDER BY position;
-- What was erased there is erased here.
UPDATE main.events SET data = NULL, salt = NULL
    WHERE data IS NOT NULL
      AND position IN (SELECT position FROM live.events WHERE data IS NULL);
COMMIT;
DETACH live;
