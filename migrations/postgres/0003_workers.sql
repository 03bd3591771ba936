-- hostatlas, schema 3: many processes, recurring work, copies of whole installations.

-- Each process that runs jobs, as it last reported. One that ended well is gone; one that fell silent stays for an hour.
CREATE TABLE worker (
    id bigint PRIMARY KEY,
    command text NOT NULL,
    host_name text NOT NULL,
    process_id bigint NOT NULL,
    version text NOT NULL,
    kinds text NOT NULL,                           -- slugs, comma-separated
    concurrency integer NOT NULL,
    running text NOT NULL,                         -- slug:jobs, comma-separated
    completed bigint NOT NULL,
    failed bigint NOT NULL,
    stopping smallint NOT NULL,
    started_at bigint NOT NULL,
    heard_at bigint NOT NULL
) WITH (fillfactor = 50);

-- What only one process does at a time, and until when it may.
CREATE TABLE duty (
    name text COLLATE "C" PRIMARY KEY,
    worker bigint NOT NULL,
    held_until bigint NOT NULL
) WITH (fillfactor = 50);

-- Recurring work. The token fences the end of an occurrence as it fences the end of a job.
CREATE TABLE schedule (
    task smallint PRIMARY KEY,
    rule text NOT NULL,
    next_at bigint NOT NULL,
    paused_at bigint,
    asked_at bigint,                               -- somebody wants it now, paused or not
    lease_token bigint NOT NULL DEFAULT 0,
    leased_until bigint,
    worker bigint,
    started_at bigint,
    finished_at bigint,
    outcome smallint,                              -- of the last that ended: 1 done, 0 failed
    detail text                                    -- at most 1 KiB
) WITH (fillfactor = 50);
-- The first refresh waits a day, the first check an hour; nobody has named a folder for backups yet.
INSERT INTO schedule (task, rule, next_at, paused_at)
SELECT task.value, task.rule, now.at + task.first, CASE task.value WHEN 3 THEN now.at END
FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS at) AS now,
     (VALUES (0, 'every 1d', 86400000), (1, 'every 1m', 60000), (2, 'every 1d', 3600000), (3, '0 3 * * *', 86400000))
         AS task (value, rule, first);

-- How many jobs of a kind may run at once, over all processes; NULL for as many as they like.
ALTER TABLE job_kind ADD COLUMN cap integer;

-- A copy of another installation that is under way into this database: how far each table is.
CREATE TABLE copying (
    name text COLLATE "C" PRIMARY KEY,
    source text NOT NULL,
    after text NOT NULL,                           -- the key of the last row, as JSON; '' before the first
    copied bigint NOT NULL,
    done smallint NOT NULL
);
