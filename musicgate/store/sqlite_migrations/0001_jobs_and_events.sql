-- Jobs, their events, idempotency keys, messages to webhooks, and the row that shows that the store can be written.
-- Times are microseconds since 1970 (..._us): every database orders them alike, and none rounds them.

-- One row per job. What is searched for has a column of its own; the whole job is the JSON in doc.
-- model: as the caller gave it. finished_at_us: NULL while the job is open. price_usd_nanos: NULL where it is unknown.
CREATE TABLE jobs (
    id TEXT NOT NULL,
    account TEXT NOT NULL,
    state TEXT NOT NULL,
    plugin TEXT,
    native_id TEXT,
    model TEXT NOT NULL,
    created_at_us BIGINT NOT NULL,
    updated_at_us BIGINT NOT NULL,
    finished_at_us BIGINT,
    price_usd_nanos BIGINT,
    version BIGINT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (id)
);

-- The state is in these two so that counting reads the index alone.
CREATE INDEX jobs_open ON jobs (id, state) WHERE state IN ('queued', 'in_progress');
CREATE INDEX jobs_open_of ON jobs (account, state) WHERE state IN ('queued', 'in_progress');
CREATE INDEX jobs_native ON jobs (account, native_id, created_at_us, id);
CREATE INDEX jobs_listed ON jobs (account, created_at_us, id);
CREATE INDEX jobs_spent ON jobs (account, finished_at_us, price_usd_nanos);
CREATE INDEX jobs_finished ON jobs (finished_at_us, id);

-- The history of each job, numbered from 1 without gaps.
CREATE TABLE job_events (
    job_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (job_id, number)
) WITHOUT ROWID;

-- Which idempotency key made which job. Removed with the job, or when it is old.
CREATE TABLE idempotency_keys (
    account TEXT NOT NULL,
    route TEXT NOT NULL,
    "key" TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    job_id TEXT NOT NULL,
    created_at_us BIGINT NOT NULL,
    PRIMARY KEY (account, route, "key")
) WITHOUT ROWID;

CREATE INDEX idempotency_keys_of ON idempotency_keys (job_id);
CREATE INDEX idempotency_keys_old ON idempotency_keys (created_at_us);

-- The outbox: one row per message to a webhook, pending while next_try_at_us is set.
-- origin: scheme, host and port of the address.
CREATE TABLE webhook_deliveries (
    id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    origin TEXT NOT NULL,
    next_try_at_us BIGINT,
    version BIGINT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (id)
);

CREATE INDEX webhook_deliveries_of ON webhook_deliveries (job_id, id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_try_at_us, id, origin) WHERE next_try_at_us IS NOT NULL;

-- Addresses that answered 410 (Gone) and get no more messages, until an operator enables them again.
CREATE TABLE disabled_webhooks (
    account TEXT NOT NULL,
    url TEXT NOT NULL,
    disabled_at_us BIGINT NOT NULL,
    PRIMARY KEY (account, url)
) WITHOUT ROWID;

-- One row that is rewritten to find out whether the store can be written.
CREATE TABLE store_check (
    id INTEGER NOT NULL,
    padding BLOB NOT NULL,
    PRIMARY KEY (id)
);
