-- Rows in what schema 3 brought: a worker, its duty, a schedule that ran, a cap. Rows in `copying` would make it half a copy.
INSERT INTO worker (id, command, host_name, process_id, version, kinds, concurrency, running, completed, failed, stopping,
    started_at, heard_at)
VALUES (7, 'worker', 'db.test', 1, '0.3.0', 'geolocation', 2, 'geolocation:1', 1, 0, 0, 1, 2);

INSERT INTO duty (name, worker, held_until) VALUES ('maintenance', 7, 30000);

UPDATE schedule SET rule = 'every 2d', lease_token = 3, started_at = 1, finished_at = 2, outcome = 1, detail = 'done'
WHERE task = 0;

UPDATE job_kind SET cap = 4 WHERE kind = 2;
