-- hostatlas, schema 3: many processes, recurring work, copies of whole installations.

-- Each process that runs jobs, as it last reported. One that ended well is gone; one that fell silent stays for an hour.
CREATE TABLE worker (
    id INTEGER PRIMARY KEY,
    command TEXT NOT NULL,
    host_name TEXT NOT NULL,
    process_id INTEGER NOT NULL,
    version TEXT NOT NULL,
    kinds TEXT NOT NULL,                           -- slugs, comma-separated
    concurrency INTEGER NOT NULL,
    running TEXT NOT NULL,                         -- slug:jobs, comma-separated
    completed INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    stopping INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    heard_at INTEGER NOT NULL
) STRICT;

-- What only one process does at a time, and until when it may.
CREATE TABLE duty (
    name TEXT PRIMARY KEY,
    worker INTEGER NOT NULL,
    held_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Recurring work. The token fences the end of an occurrence as it fences the end of a job.
CREATE TABLE schedule (
    task INTEGER PRIMARY KEY,
    rule TEXT NOT NULL,
    next_at INTEGER NOT NULL,
    paused_at INTEGER,
    asked_at INTEGER,                              -- somebody wants it now, paused or not
    lease_token INTEGER NOT NULL DEFAULT 0,
    leased_until INTEGER,
    worker INTEGER,
    started_at INTEGER,
    finished_at INTEGER,
    outcome INTEGER,                               -- of the last that ended: 1 done, 0 failed
    detail TEXT                                    -- at most 1 KiB
) STRICT;
-- The first refresh waits a day, the first check an hour; nobody has named a folder for backups yet.
INSERT INTO schedule (task, rule, next_at, paused_at)
SELECT task.value, task.rule, now.at + task.first, CASE task.value WHEN 3 THEN now.at END
FROM (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS at) AS now,
     (SELECT 0 AS value, 'every 1d' AS rule, 86400000 AS first
      UNION ALL SELECT 1, 'every 1m', 60000
      UNION ALL SELECT 2, 'every 1d', 3600000
      UNION ALL SELECT 3, '0 3 * * *', 86400000) AS task;

-- How many jobs of a kind may run at once, over all processes; NULL for as many as they like.
ALTER TABLE job_kind ADD COLUMN cap INTEGER;

-- A copy of another installation that is under way into this database: how far each table is.
CREATE TABLE copying (
    name TEXT PRIMARY KEY,
    source TEXT NOT NULL,
    after TEXT NOT NULL,                           -- the key of the last row, as JSON; '' before the first
    copied INTEGER NOT NULL,
    done INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
