-- hostatlas, schema 4: less to write for each job that is queued, claimed and finished.

-- Jobs of one priority that became due together follow each other in the order in which they were queued, so their id
-- need not stand in the key; and equal keys share one entry.
DROP INDEX job_ready;
CREATE INDEX job_ready ON job (kind, priority, run_at) WHERE state < 3;

-- The live jobs of a host are found by `job_live`. Here each job is written once, when it ends.
DROP INDEX job_host;
CREATE INDEX job_host ON job (host) WHERE state > 3;
