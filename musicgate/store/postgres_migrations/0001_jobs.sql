-- works with: 1
-- Everything of musicgate, in a schema of its own. Times are microseconds since 1970 (..._us). Texts that are compared
-- have the collation "C": the order of their bytes, in every database alike.

-- One row per job. What is searched for has a column of its own; the whole job is the JSON in doc, its history the lines
-- of events, numbered from 1. finished_at_us: NULL while the job is open. price_usd_nanos: NULL where it is unknown.
-- A fifth of each page stays free, so that a change that touches no index stays on the page of its job.
CREATE TABLE musicgate.jobs (
    id text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    plugin text COLLATE "C",
    native_id text COLLATE "C",
    model text COLLATE "C" NOT NULL,
    created_at_us bigint NOT NULL,
    updated_at_us bigint NOT NULL,
    finished_at_us bigint,
    price_usd_nanos bigint,
    version bigint NOT NULL,
    doc text NOT NULL,
    events text NOT NULL,
    PRIMARY KEY (id)
) WITH (fillfactor = 80);

CREATE INDEX jobs_open ON musicgate.jobs (id) WHERE finished_at_us IS NULL;
CREATE INDEX jobs_of_state ON musicgate.jobs (account, state, model, created_at_us, id);
CREATE INDEX jobs_listed ON musicgate.jobs (account, created_at_us, id);
CREATE INDEX jobs_ended ON musicgate.jobs (account, finished_at_us, id, price_usd_nanos) WHERE finished_at_us IS NOT NULL;
-- An entry of an index has at most 2,700 bytes, and an id of a vendor may be longer.
CREATE INDEX jobs_native ON musicgate.jobs (account, hashtextextended(native_id, 0), created_at_us, id)
WHERE native_id IS NOT NULL;

-- Which idempotency key made which job. Removed with the job, or when it is old.
CREATE TABLE musicgate.idempotency_keys (
    account text COLLATE "C" NOT NULL,
    route text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    fingerprint text NOT NULL,
    job_id text COLLATE "C" NOT NULL,
    created_at_us bigint NOT NULL,
    PRIMARY KEY (account, route, key)
);

CREATE INDEX idempotency_keys_of ON musicgate.idempotency_keys (job_id);
CREATE INDEX idempotency_keys_old ON musicgate.idempotency_keys (created_at_us);

-- The outbox: one row per message to a webhook, pending while next_try_at_us is set.
-- origin: scheme, host and port of the address; it may be too long for an index.
CREATE TABLE musicgate.webhook_deliveries (
    id text COLLATE "C" NOT NULL,
    job_id text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    origin text COLLATE "C" NOT NULL,
    next_try_at_us bigint,
    version bigint NOT NULL,
    doc text NOT NULL,
    PRIMARY KEY (id)
);

CREATE INDEX webhook_deliveries_of ON musicgate.webhook_deliveries (job_id, id);
-- Its condition keeps the planner from walking it for one account's messages, past those of all others: a query that
-- says IS NOT NULL cannot use it.
CREATE INDEX webhook_deliveries_due ON musicgate.webhook_deliveries (next_try_at_us, id) WHERE next_try_at_us >= 0;
CREATE INDEX webhook_deliveries_due_of ON musicgate.webhook_deliveries (account, next_try_at_us, id)
WHERE next_try_at_us IS NOT NULL;

-- Addresses that answered 410 (Gone) and get no more messages, until an operator enables them again.
CREATE TABLE musicgate.disabled_webhooks (
    account text COLLATE "C" NOT NULL,
    url text COLLATE "C" NOT NULL,
    disabled_at_us bigint NOT NULL
);

CREATE INDEX disabled_webhooks_of ON musicgate.disabled_webhooks (account, hashtextextended(url, 0));

-- One row that is rewritten to find out whether the store can be written.
CREATE TABLE musicgate.store_check (
    id int NOT NULL,
    padding bytea NOT NULL,
    PRIMARY KEY (id)
);
ALTER TABLE musicgate.store_check ALTER COLUMN padding SET STORAGE EXTERNAL;

-- The process that uses the store, where it cannot hold a lock of its session (behind a pooler).
CREATE TABLE musicgate.store_lease (
    id int NOT NULL CHECK (id = 1),
    owner text NOT NULL,
    renewed_at timestamptz NOT NULL,
    PRIMARY KEY (id)
);

-- How far work has come that goes on round after round, also after a restart.
CREATE TABLE musicgate.marks (
    name text COLLATE "C" NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (name)
);

-- Which jobs use which kept object. An object may be used by several: its name comes from its content.
CREATE TABLE musicgate.asset_references (
    name text COLLATE "C" NOT NULL,
    job_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (name, job_id)
);

CREATE INDEX asset_references_of_job ON musicgate.asset_references (job_id, name);

-- Objects that no job uses any more, until their bytes are removed. While is_being_removed is set, no job may use the
-- object again: its bytes can go at any moment.
CREATE TABLE musicgate.unused_assets (
    name text COLLATE "C" NOT NULL,
    is_being_removed boolean NOT NULL DEFAULT false,
    PRIMARY KEY (name)
);

-- What the finished jobs of an account cost, by day (UTC, days since 1970). The quota asks for it before each job, and
-- a sum over the jobs themselves would take longer with each one that ends. Triggers keep it, whatever changes a job.
CREATE TABLE musicgate.spent_by_day (
    account text COLLATE "C" NOT NULL,
    day bigint NOT NULL,
    jobs bigint NOT NULL,
    usd_nanos bigint NOT NULL,
    PRIMARY KEY (account, day)
);

CREATE FUNCTION musicgate.keep_spent_by_day() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.finished_at_us IS NOT NULL AND OLD.price_usd_nanos IS NOT NULL THEN
        UPDATE musicgate.spent_by_day SET jobs = jobs - 1, usd_nanos = usd_nanos - OLD.price_usd_nanos
        WHERE account = OLD.account AND day = OLD.finished_at_us / 86400000000;
        DELETE FROM musicgate.spent_by_day
        WHERE account = OLD.account AND day = OLD.finished_at_us / 86400000000 AND jobs = 0;
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.finished_at_us IS NOT NULL AND NEW.price_usd_nanos IS NOT NULL THEN
        INSERT INTO musicgate.spent_by_day AS known (account, day, jobs, usd_nanos)
        VALUES (NEW.account, NEW.finished_at_us / 86400000000, 1, NEW.price_usd_nanos)
        ON CONFLICT (account, day) DO UPDATE
        SET jobs = known.jobs + 1, usd_nanos = known.usd_nanos + excluded.usd_nanos;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER spent_by_inserted_job AFTER INSERT ON musicgate.jobs FOR EACH ROW
WHEN (NEW.finished_at_us IS NOT NULL AND NEW.price_usd_nanos IS NOT NULL)
EXECUTE FUNCTION musicgate.keep_spent_by_day();

CREATE TRIGGER spent_by_changed_job AFTER UPDATE OF finished_at_us, price_usd_nanos ON musicgate.jobs FOR EACH ROW
WHEN (NEW.finished_at_us IS DISTINCT FROM OLD.finished_at_us OR NEW.price_usd_nanos IS DISTINCT FROM OLD.price_usd_nanos)
EXECUTE FUNCTION musicgate.keep_spent_by_day();

CREATE TRIGGER spent_by_deleted_job AFTER DELETE ON musicgate.jobs FOR EACH ROW
WHEN (OLD.finished_at_us IS NOT NULL AND OLD.price_usd_nanos IS NOT NULL)
EXECUTE FUNCTION musicgate.keep_spent_by_day();
