-- Rows in every table of schema 1, true to themselves: a located host, one that waits, one without a place, a private one.
INSERT INTO import (source, format, state, started_at, reported_at, finished_at, hosts_new, services_new, lines_ok)
VALUES ('scan.json', 'masscan-json', 1, 1, 2, 3, 4, 1, 5);

INSERT INTO place (latitude_e5, longitude_e5, precision, city, region, country_code, timezone, hosts)
VALUES (5011550, 868420, 0, 'Frankfurt am Main', 'Hesse', 'DE', 'Europe/Berlin', 1),
    (4600000, 200000, 2, '', '', 'FR', '', 0);

INSERT INTO network (asn, organization, isp) VALUES (64500, 'Example', '');

INSERT INTO host (address, first_seen, last_seen, first_import, last_import, class, location_state, reason, place, network,
    provider, accuracy_km, database_build, located_at, attempted_at)
VALUES (x'00000000000000000000ffff08080808', 1, 2, 1, 1, 0, 1, NULL, 1, 1, 0, 20, 5, 7200000, 7200000),
    (x'00000000000000000000ffff08080809', 1, 2, 1, 1, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (x'00000000000000000000ffff08080404', 1, 2, 1, 1, 0, 2, 0, NULL, NULL, NULL, NULL, NULL, NULL, 7200000),
    (x'00000000000000000000ffff0a000001', 1, 2, 1, 1, 1, 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

INSERT INTO service (host, port, protocol, state, first_seen, last_seen, first_import, last_import, service, banner)
VALUES (1, 443, 6, 1, 1, 2, 1, 1, 'https', x'00ff');

INSERT INTO service_change (host, port, protocol, state, at) VALUES (1, 443, 6, 0, 1);

INSERT INTO location_change (host, at, from_place, to_place, provider) VALUES (1, 7200000, 2, 1, 0);

INSERT INTO job (kind, host, port, protocol, priority, state, run_at, lease_token, leased_until, claimed_by, attempt,
    created_at, started_at, finished_at, last_error, result)
VALUES (2, 2, 0, 0, 2, 0, 1, 0, NULL, NULL, 0, 1, NULL, NULL, NULL, NULL),
    (2, 3, 0, 0, 2, 3, 1, 1, 30000, 7, 1, 1, 2, NULL, NULL, NULL),
    (2, 1, 0, 0, 2, 4, 1, 2, NULL, NULL, 2, 1, 2, 3, 'timed out', 'Frankfurt am Main, DE'),
    (3, 1, 443, 6, 3, 1, 9000000000000, 0, NULL, NULL, 0, 1, NULL, NULL, NULL, NULL);

UPDATE job_kind SET paused_at = 1 WHERE kind = 3;

UPDATE job_count SET n = 1 WHERE kind = 2 AND state IN (0, 3, 4) OR kind = 3 AND state = 1;

INSERT INTO counter (name, key, n)
VALUES ('state', 0, 1), ('state', 1, 1), ('state', 2, 1), ('state', 3, 1), ('reason', 0, 1), ('class', 1, 1),
    ('precision', 0, 1), ('provider', 0, 1), ('located_hour', 2, 1), ('pending_live', 0, 1);

INSERT INTO recent_result (host, location_state, reason, place, provider, attempted_at)
VALUES (1, 1, NULL, 1, 0, 7200000), (3, 2, 0, NULL, NULL, 7200000);

INSERT INTO run (mode, state, total, started_at, reported_at, finished_at, considered, located)
VALUES ('async_batch', 1, 2, 1, 2, 3, 2, 1);

UPDATE change SET number = 5;
