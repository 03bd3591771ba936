-- hostatlas, schema 5: a job that is claimed stays on the page on which it was queued.

-- Each update writes a whole new version of a job. A page that is filled by less than half has room for the versions
-- that a claim makes of all its jobs, which are a little longer; when they end, the first versions are dead and give
-- their room. Without it each claim looks for space elsewhere and adds pages to the table: a quarter more CPU.
ALTER TABLE job SET (fillfactor = 44);
-- A version has its own entry in each index that holds it.
ALTER INDEX job_live SET (fillfactor = 45);
ALTER INDEX job_pkey SET (fillfactor = 50);
