-- What ended jobs used, by day (UTC, days since 1970) and by what they are counted under. A job is counted once, in the
-- transaction that stores its end, and stays counted when it is removed. outcome: completed, or the class of the failure.
CREATE TABLE usage_by_day (
    account TEXT NOT NULL,
    day BIGINT NOT NULL,
    key_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    plugin TEXT NOT NULL,
    model TEXT NOT NULL,
    outcome TEXT NOT NULL,
    jobs BIGINT NOT NULL,
    usd_nanos BIGINT NOT NULL,
    unpriced_jobs BIGINT NOT NULL,
    audio_ms BIGINT NOT NULL,
    PRIMARY KEY (account, day, key_id, provider, plugin, model, outcome)
) WITHOUT ROWID;

-- For the usage of all accounts. Written with a new row only, not when a job is added to one.
CREATE INDEX usage_of_day ON usage_by_day (day);

-- Who did what, in the order of the commits. The newest row always stays, so that no number is given out again.
CREATE TABLE audit_log (
    number INTEGER PRIMARY KEY,
    at_us BIGINT NOT NULL,
    action TEXT NOT NULL,
    account TEXT NOT NULL,
    key_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    subject TEXT NOT NULL
);

-- The only rows that may be deleted are older than this, which the sweeper sets for its own transaction.
CREATE TABLE audit_sweep (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    before_us BIGINT NOT NULL
);

INSERT INTO audit_sweep (id, before_us) VALUES (1, 0);

CREATE TRIGGER audit_log_is_not_changed BEFORE UPDATE ON audit_log
BEGIN
    SELECT RAISE(ABORT, 'audit_log is append-only');
END;

CREATE TRIGGER audit_log_is_not_deleted BEFORE DELETE ON audit_log
WHEN OLD.at_us >= (SELECT before_us FROM audit_sweep)
BEGIN
    SELECT RAISE(ABORT, 'audit_log is append-only');
END;
