"""The tables and views of an index, and the rule of law in time as SQL.

The rule is that of ``ledger.format.law``: ``docs/spec.md``, "Time in law". A bound has a day, as it
is written, and an instant in UTC unless it is a date. Two instants are compared as instants,
anything else by its days.
"""

from __future__ import annotations

APPLICATION = 0x7469_6478
"""What marks a SQLite file as an index of ours ("tidx")."""

FORMAT = 2

TABLES = """
CREATE TABLE about (
    origin TEXT NOT NULL,
    format INTEGER NOT NULL,
    leaf INTEGER,          -- how many leaves of the log this has taken up; null: there was no log
    checkpoint TEXT,       -- the signed checkpoint of these leaves
    updated_at TEXT,       -- when an update last ended; null: none did
    keys TEXT NOT NULL,    -- the registrars' keys that the entries were verified by, and their ends
    scrub INTEGER NOT NULL DEFAULT 0  -- 1: texts were taken out that the file may still hold
);
CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    title_number TEXT NOT NULL,
    version INTEGER NOT NULL,
    address TEXT NOT NULL,
    parent TEXT,
    recorded_at TEXT NOT NULL,
    effective_at TEXT,
    effective_until TEXT,
    begins_day TEXT NOT NULL,   -- from effective_at, or else from recorded_at
    begins_instant TEXT,
    ends_day TEXT,              -- exclusive; null: without end
    ends_instant TEXT,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    reference TEXT NOT NULL,
    part INTEGER NOT NULL,
    parts INTEGER NOT NULL,
    key TEXT NOT NULL,          -- the id of the signer's key
    author TEXT,                -- this and what follows is null if the text is erased
    message TEXT,
    document TEXT,
    erased_by INTEGER,          -- the version that orders the text erased
    stands INTEGER NOT NULL,    -- 0: void
    standing TEXT NOT NULL,     -- how it stands, in words; empty: it simply counts
    words TEXT NOT NULL,        -- what a search finds it by
    role TEXT AS (CASE          -- what it does to its title; null: that goes on
        WHEN version = 1 THEN 'begins'
        WHEN status = 'closed' AND kind <> 'rectification' THEN 'closes' END),
    UNIQUE (title_number, version)
);
CREATE INDEX entries_by_reference ON entries (reference) WHERE reference <> '';
CREATE VIRTUAL TABLE entries_fts USING fts5(
    words, content="entries", content_rowid="id", tokenize="unicode61 remove_diacritics 2"
);
CREATE TRIGGER entries_added AFTER INSERT ON entries BEGIN
    INSERT INTO entries_fts(rowid, words) VALUES (new.id, new.words);
END;
CREATE TRIGGER entries_taken AFTER DELETE ON entries BEGIN
    INSERT INTO entries_fts(entries_fts, rowid, words) VALUES ('delete', old.id, old.words);
END;
CREATE TRIGGER entries_changed AFTER UPDATE OF words ON entries BEGIN
    INSERT INTO entries_fts(entries_fts, rowid, words) VALUES ('delete', old.id, old.words);
    INSERT INTO entries_fts(rowid, words) VALUES (new.id, new.words);
END;
CREATE TABLE left_out (    -- titles that did not verify
    title_number TEXT PRIMARY KEY,
    address TEXT,          -- the last head that verified
    outcome TEXT NOT NULL,
    finding TEXT NOT NULL,
    message TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE waiting (     -- titles that the update under way has not looked at yet
    folder TEXT PRIMARY KEY
) WITHOUT ROWID;
"""

UTC = "____-__-__T__:__:__.______Z"

TABLES += f"""
CREATE TABLE as_of (    -- what the view in_force answers: set it, then read the view
    effective_day TEXT CHECK (effective_day IS date(effective_day, '+0 days')),
    effective_instant TEXT CHECK (
        effective_instant IS NULL
        OR effective_day IS NOT NULL AND effective_instant LIKE '{UTC}'),
    recorded_day TEXT CHECK (recorded_day IS date(recorded_day, '+0 days')),
    recorded_instant TEXT CHECK (
        recorded_instant IS NULL OR recorded_day IS NOT NULL AND recorded_instant LIKE '{UTC}')
);
INSERT INTO as_of DEFAULT VALUES;
"""

NOW = """(
    SELECT date('now', 'localtime') AS effective_day,
        strftime('%Y-%m-%dT%H:%M:%f000Z', 'now') AS effective_instant,
        NULL AS recorded_day, NULL AS recorded_instant)"""

ANYTHING = """(
    SELECT NULL AS effective_day, NULL AS effective_instant,
        NULL AS recorded_day, NULL AS recorded_instant)"""


def _answers(entry: str) -> str:
    """Tell whether an entry stands, was known, and holds then; ``asked`` is the question."""
    return f"""{entry}.stands
    AND (asked.recorded_day IS NULL OR CASE
        WHEN asked.recorded_instant IS NOT NULL
        THEN {entry}.recorded_at <= asked.recorded_instant
        ELSE substr({entry}.recorded_at, 1, 10) <= asked.recorded_day END)
    AND (asked.effective_day IS NULL OR CASE
        WHEN asked.effective_instant IS NOT NULL AND {entry}.begins_instant IS NOT NULL
        THEN {entry}.begins_instant <= asked.effective_instant
        ELSE {entry}.begins_day <= asked.effective_day END)
    AND (asked.effective_day IS NULL OR {entry}.ends_day IS NULL OR CASE
        WHEN asked.effective_instant IS NOT NULL AND {entry}.ends_instant IS NOT NULL
        THEN asked.effective_instant < {entry}.ends_instant
        ELSE asked.effective_day < {entry}.ends_day END)"""


def in_force(asked: str) -> str:
    """Select the entries in law, each title's newest that answers; ``asked`` is a row like as_of's.

    A day of null asks for nothing: without ``effective_day``, the newest that was known is found.
    """
    return f"""SELECT entry.* FROM {asked} AS asked, entries AS entry
WHERE {_answers("entry")}
AND NOT EXISTS (
    SELECT 1 FROM entries AS newer
    WHERE newer.title_number = entry.title_number AND newer.version > entry.version
    AND {_answers("newer")}
)"""  # noqa: S608 -- no values


SCHEMA = f"""
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {FORMAT};
{TABLES}
CREATE VIEW newest AS
{in_force(ANYTHING)};
CREATE VIEW in_force_today AS
{in_force(NOW)};
CREATE VIEW in_force AS
{in_force("as_of")};
CREATE VIEW titles AS
SELECT title_number, version, status, recorded_at, reference FROM newest;
CREATE VIEW registrations AS
SELECT reference, parts, count(DISTINCT part) AS found, count(DISTINCT part) = parts AS complete,
    group_concat(title_number, ' ') AS titles
FROM (SELECT * FROM entries WHERE stands AND parts > 1 ORDER BY reference, part, title_number)
GROUP BY reference, parts;
CREATE VIEW moves AS
WITH part_of AS (
    SELECT reference, title_number, coalesce(min(role), 'goes on') AS role
    FROM entries WHERE stands AND parts > 1 GROUP BY reference, title_number
), moved AS (
    SELECT *, max(role = 'begins') OVER one AS begins, max(role = 'closes') OVER one AS closes
    FROM part_of WINDOW one AS (PARTITION BY reference)
)
SELECT reference, source.title_number AS came_from, target.title_number AS went_into
FROM moved AS source JOIN moved AS target USING (reference)
WHERE came_from <> went_into AND (source.begins OR source.closes)
AND source.role = iif(source.closes, 'closes', 'goes on')
AND target.role = iif(source.begins, 'begins', 'goes on');
"""  # noqa: S608 -- no values
