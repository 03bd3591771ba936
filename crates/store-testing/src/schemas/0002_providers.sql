-- Rows in what schema 2 brought: a host that a person pinned, calls, limits and answers of a provider.
INSERT INTO host (address, first_seen, last_seen, first_import, last_import, class, location_state, place, provider,
    located_at, attempted_at, pinned)
VALUES (x'00000000000000000000ffff09090909', 1, 2, 1, 1, 0, 1, 2, 8, 7200000, 7200000, 1);

UPDATE place SET hosts = 1 WHERE country_code = 'FR';

UPDATE counter SET n = 2 WHERE name = 'state' AND key = 1 OR name = 'located_hour' AND key = 2;

INSERT INTO counter (name, key, n) VALUES ('precision', 2, 1), ('provider', 8, 1);

UPDATE run SET deferred = 1;

INSERT INTO provider_window (provider, account, name, closed_until, next_at, spent)
VALUES (1, 0, 'calls a minute', 0, 1000, '1,60000,1');

INSERT INTO provider_state (provider, account, calls, failed_calls, addresses, located, latencies, last_call_at, last_error,
    last_error_at)
VALUES (1, 0, 2, 1, 2, 1, '[]', 1000, 'it did not answer', 900);

INSERT INTO answer (address, provider, answered_at, answer)
VALUES (x'00000000000000000000ffff08080404', 1, 1000, '{"miss":"no_record"}');
