-- hostatlas, schema 1. Times are milliseconds since 1970 UTC. Addresses are 16 bytes, IPv4 mapped, so that byte order is
-- numeric order and a CIDR block is one range. Numbers of states and kinds are those of `hostatlas-domain`.

CREATE TABLE import (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    format TEXT NOT NULL,
    state INTEGER NOT NULL DEFAULT 0,              -- 0 running, 1 done, 2 undone
    started_at INTEGER NOT NULL,
    reported_at INTEGER NOT NULL,                  -- of a running import: when it last recorded something
    finished_at INTEGER,
    hosts_new INTEGER NOT NULL DEFAULT 0,
    hosts_seen INTEGER NOT NULL DEFAULT 0,
    services_new INTEGER NOT NULL DEFAULT 0,
    services_seen INTEGER NOT NULL DEFAULT 0,
    jobs_queued INTEGER NOT NULL DEFAULT 0,
    lines_ok INTEGER NOT NULL DEFAULT 0,
    lines_repaired INTEGER NOT NULL DEFAULT 0,
    lines_duplicate INTEGER NOT NULL DEFAULT 0,
    lines_skipped INTEGER NOT NULL DEFAULT 0,
    lines_bad INTEGER NOT NULL DEFAULT 0,
    truncated INTEGER NOT NULL DEFAULT 0,
    first_bad TEXT NOT NULL DEFAULT '[]'
) STRICT;

-- AUTOINCREMENT here and for jobs: undoing an import and pruning delete rows, and a number that came back for another
-- host or job would let a late answer through its fence.
CREATE TABLE host (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    address BLOB NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    first_import INTEGER NOT NULL,                 -- 0 where undoing made it unknown
    last_import INTEGER NOT NULL,
    import_count INTEGER NOT NULL DEFAULT 1,       -- how many imports saw it
    class INTEGER NOT NULL DEFAULT 0,
    location_state INTEGER NOT NULL DEFAULT 0,
    reason INTEGER,
    place INTEGER,
    network INTEGER,
    provider INTEGER,
    accuracy_km INTEGER,
    database_build INTEGER,
    located_at INTEGER,
    attempted_at INTEGER
) STRICT;
-- The only tree that is written in random order. Indexes for lists (by place, network, port, time) are made by
-- housekeeping once bulk work is over: each costs about a third of the rate of locating.
CREATE UNIQUE INDEX host_address ON host (address);

CREATE TABLE service (
    host INTEGER NOT NULL,
    port INTEGER NOT NULL,
    protocol INTEGER NOT NULL,
    state INTEGER NOT NULL,                        -- 1 open, 0 closed
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    first_import INTEGER NOT NULL,
    last_import INTEGER NOT NULL,
    import_count INTEGER NOT NULL DEFAULT 1,
    service TEXT,
    banner BLOB,
    PRIMARY KEY (host, port, protocol)
) STRICT, WITHOUT ROWID;

CREATE TABLE service_change (
    id INTEGER PRIMARY KEY,
    host INTEGER NOT NULL,
    port INTEGER NOT NULL,
    protocol INTEGER NOT NULL,
    state INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX service_change_host ON service_change (host, id);

-- Absent names are empty text: NULL would not deduplicate.
CREATE TABLE place (
    id INTEGER PRIMARY KEY,
    latitude_e5 INTEGER NOT NULL,
    longitude_e5 INTEGER NOT NULL,
    precision INTEGER NOT NULL,
    city TEXT NOT NULL,
    region TEXT NOT NULL,
    country_code TEXT NOT NULL,
    timezone TEXT NOT NULL DEFAULT '',
    hosts INTEGER NOT NULL DEFAULT 0,
    changed INTEGER NOT NULL DEFAULT 0             -- the map's change number when `hosts` last changed; not indexed
) STRICT;
CREATE UNIQUE INDEX place_key ON place (latitude_e5, longitude_e5, precision, city, region, country_code);
CREATE INDEX place_city ON place (city COLLATE NOCASE);
CREATE INDEX place_country ON place (country_code);

CREATE TABLE network (
    id INTEGER PRIMARY KEY,
    asn INTEGER NOT NULL,                          -- 0 where unknown
    organization TEXT NOT NULL,
    isp TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX network_key ON network (asn, organization, isp);

CREATE TABLE location_change (
    id INTEGER PRIMARY KEY,
    host INTEGER NOT NULL,
    at INTEGER NOT NULL,
    from_place INTEGER NOT NULL,
    to_place INTEGER NOT NULL,
    provider INTEGER NOT NULL
) STRICT;
CREATE INDEX location_change_host ON location_change (host, id);

CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind INTEGER NOT NULL,
    host INTEGER NOT NULL,
    port INTEGER NOT NULL DEFAULT 0,               -- 0 where it does not apply: NULL would not deduplicate
    protocol INTEGER NOT NULL DEFAULT 0,
    priority INTEGER NOT NULL,
    state INTEGER NOT NULL DEFAULT 0,              -- waiting < 3, running 3, finished > 3
    run_at INTEGER NOT NULL,
    force INTEGER NOT NULL DEFAULT 0,
    rerun INTEGER NOT NULL DEFAULT 0,
    lease_token INTEGER NOT NULL DEFAULT 0,        -- +1 at every claim, touched by nothing else
    leased_until INTEGER,
    claimed_by INTEGER,
    attempt INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL DEFAULT 8,
    crash_count INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    last_error TEXT,                               -- at most 1 KiB
    result TEXT                                    -- at most 256 bytes; of a waiting job: why it waits
) STRICT;
CREATE UNIQUE INDEX job_live ON job (host, kind, port, protocol) WHERE state < 4;
CREATE INDEX job_ready ON job (kind, priority, run_at, id) WHERE state < 3;
CREATE INDEX job_leased ON job (leased_until) WHERE state = 3;
CREATE INDEX job_finished ON job (state, finished_at) WHERE state > 3;
-- Written once a job: its host never changes.
CREATE INDEX job_host ON job (host);
-- The states in which few jobs are, for lists and bulk actions; the others would cost a write at each claim and finish.
CREATE INDEX job_rare ON job (state, kind, id) WHERE state = 1 OR state = 2 OR state = 5 OR state = 6;

CREATE TABLE job_kind (
    kind INTEGER PRIMARY KEY,
    paused_at INTEGER
) STRICT;
INSERT INTO job_kind (kind) VALUES (0), (1), (2), (3);

CREATE TABLE job_count (
    kind INTEGER NOT NULL,
    state INTEGER NOT NULL,
    n INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, state)
) STRICT, WITHOUT ROWID;
INSERT INTO job_count (kind, state)
SELECT kind.value, state.value FROM json_each('[0,1,2,3]') AS kind, json_each('[0,1,2,3,4,5,6]') AS state;

-- Coverage: 'state', 'reason', 'class', 'precision', 'provider' by their numbers; 'located_hour' by hours since 1970,
-- for staleness; 'pending_live' (key 0): pending hosts that have a live geolocation job.
CREATE TABLE counter (
    name TEXT NOT NULL,
    key INTEGER NOT NULL,
    n INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (name, key)
) STRICT, WITHOUT ROWID;

-- The latest attempts, a few of each batch.
CREATE TABLE recent_result (
    id INTEGER PRIMARY KEY,
    host INTEGER NOT NULL,
    location_state INTEGER NOT NULL,
    reason INTEGER,
    place INTEGER,
    provider INTEGER,
    attempted_at INTEGER NOT NULL
) STRICT;

CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    mode TEXT NOT NULL,
    state INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    reported_at INTEGER NOT NULL,
    finished_at INTEGER,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    considered INTEGER NOT NULL DEFAULT 0,
    located INTEGER NOT NULL DEFAULT 0,
    unlocated INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    skipped INTEGER NOT NULL DEFAULT 0,
    queued INTEGER NOT NULL DEFAULT 0,
    duplicate INTEGER NOT NULL DEFAULT 0,
    error TEXT
) STRICT;

-- Moved by every transaction that changes what a topic shows; other processes poll it.
CREATE TABLE change (
    topic INTEGER PRIMARY KEY,
    number INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO change (topic) VALUES (0), (1), (2), (3);
