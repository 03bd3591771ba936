-- hostatlas, schema 4: less to write for each job that is queued, claimed and finished.

-- The engine adds the id to each entry by itself, and orders by it.
DROP INDEX job_ready;
CREATE INDEX job_ready ON job (kind, priority, run_at) WHERE state < 3;
