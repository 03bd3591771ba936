-- hostatlas, schema 2: the ledger of online providers, kept answers, hosts that a person pinned.

-- How far each limit of each account is used; see `hostatlas_domain::Window`.
CREATE TABLE provider_window (
    provider smallint NOT NULL,
    account bigint NOT NULL,
    name text COLLATE "C" NOT NULL,
    closed_until bigint NOT NULL,
    next_at bigint NOT NULL,
    spent text NOT NULL,                           -- call,until,permits;call,until,permits
    PRIMARY KEY (provider, account, name)
) WITH (fillfactor = 50);

CREATE TABLE provider_state (
    provider smallint NOT NULL,
    account bigint NOT NULL,
    calls bigint NOT NULL DEFAULT 0,
    failed_calls bigint NOT NULL DEFAULT 0,
    addresses bigint NOT NULL DEFAULT 0,
    located bigint NOT NULL DEFAULT 0,
    missed bigint NOT NULL DEFAULT 0,
    latencies text NOT NULL,                       -- calls by class, as a JSON array
    last_call_at bigint,
    last_error text,
    last_error_at bigint,
    breaker smallint NOT NULL DEFAULT 0,           -- 0 closed, 1 open, 2 half open
    breaker_until bigint,
    disabled_because text,
    PRIMARY KEY (provider, account)
) WITH (fillfactor = 50);

-- The newest answer of each provider about each address, whether or not it is a host.
CREATE TABLE answer (
    address bytea NOT NULL,
    provider smallint NOT NULL,
    answered_at bigint NOT NULL,
    answer text NOT NULL,                          -- JSON
    PRIMARY KEY (address, provider)
);

-- 1: a person put it on its place, and no answer moves it.
ALTER TABLE host ADD COLUMN pinned smallint NOT NULL DEFAULT 0;

ALTER TABLE run ADD COLUMN deferred bigint NOT NULL DEFAULT 0;
