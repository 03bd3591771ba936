-- hostatlas, schema 2: the ledger of online providers, kept answers, hosts that a person pinned.

-- How far each limit of each account is used; see `hostatlas_domain::Window`.
CREATE TABLE provider_window (
    provider INTEGER NOT NULL,
    account INTEGER NOT NULL,
    name TEXT NOT NULL,
    closed_until INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    spent TEXT NOT NULL,                           -- call,until,permits;call,until,permits
    PRIMARY KEY (provider, account, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE provider_state (
    provider INTEGER NOT NULL,
    account INTEGER NOT NULL,
    calls INTEGER NOT NULL DEFAULT 0,
    failed_calls INTEGER NOT NULL DEFAULT 0,
    addresses INTEGER NOT NULL DEFAULT 0,
    located INTEGER NOT NULL DEFAULT 0,
    missed INTEGER NOT NULL DEFAULT 0,
    latencies TEXT NOT NULL,                       -- calls by class, as a JSON array
    last_call_at INTEGER,
    last_error TEXT,
    last_error_at INTEGER,
    breaker INTEGER NOT NULL DEFAULT 0,            -- 0 closed, 1 open, 2 half open
    breaker_until INTEGER,
    disabled_because TEXT,
    PRIMARY KEY (provider, account)
) STRICT, WITHOUT ROWID;

-- The newest answer of each provider about each address, whether or not it is a host.
CREATE TABLE answer (
    address BLOB NOT NULL,
    provider INTEGER NOT NULL,
    answered_at INTEGER NOT NULL,
    answer TEXT NOT NULL,                          -- JSON
    PRIMARY KEY (address, provider)
) STRICT, WITHOUT ROWID;

-- 1: a person put it on its place, and no answer moves it.
ALTER TABLE host ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;

ALTER TABLE run ADD COLUMN deferred INTEGER NOT NULL DEFAULT 0;
