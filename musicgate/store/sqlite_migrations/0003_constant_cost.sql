-- Each durable write waits for every page that it changes, and an index entry is a page. So a job has an entry in an
-- index only while something is searched for there: a vendor's id when it has one, its end when it has ended.

DROP INDEX jobs_native;
DROP INDEX jobs_spent;
DROP INDEX jobs_finished;
DROP INDEX jobs_open_of;

CREATE INDEX jobs_native ON jobs (account, native_id, created_at_us, id) WHERE native_id IS NOT NULL;
CREATE INDEX jobs_spent ON jobs (account, finished_at_us, price_usd_nanos) WHERE finished_at_us IS NOT NULL;
CREATE INDEX jobs_finished ON jobs (finished_at_us, id) WHERE finished_at_us IS NOT NULL;

-- For lists of some states or of one model, and to count the open jobs of an account.
CREATE INDEX jobs_of_state ON jobs (account, state, model, created_at_us, id);

-- What the finished jobs of an account cost, by day (UTC, days since 1970). The quota asks for it before each job, and
-- a sum over the jobs themselves would take longer with each one that ends. Triggers keep it, whatever changes a job.
CREATE TABLE spent_by_day (
    account TEXT NOT NULL,
    day BIGINT NOT NULL,
    jobs BIGINT NOT NULL,
    usd_nanos BIGINT NOT NULL,
    PRIMARY KEY (account, day)
) WITHOUT ROWID;

INSERT INTO spent_by_day (account, day, jobs, usd_nanos)
SELECT account, finished_at_us / 86400000000, count(*), sum(price_usd_nanos) FROM jobs
WHERE finished_at_us IS NOT NULL AND price_usd_nanos IS NOT NULL GROUP BY 1, 2;

CREATE TRIGGER spent_by_inserted_job AFTER INSERT ON jobs
WHEN NEW.finished_at_us IS NOT NULL AND NEW.price_usd_nanos IS NOT NULL
BEGIN
    INSERT INTO spent_by_day (account, day, jobs, usd_nanos)
    VALUES (NEW.account, NEW.finished_at_us / 86400000000, 1, NEW.price_usd_nanos)
    ON CONFLICT (account, day) DO UPDATE SET jobs = jobs + 1, usd_nanos = usd_nanos + excluded.usd_nanos;
END;

CREATE TRIGGER spent_by_changed_job AFTER UPDATE OF finished_at_us, price_usd_nanos ON jobs
WHEN NEW.finished_at_us IS NOT OLD.finished_at_us OR NEW.price_usd_nanos IS NOT OLD.price_usd_nanos
BEGIN
    UPDATE spent_by_day SET jobs = jobs - 1, usd_nanos = usd_nanos - OLD.price_usd_nanos
    WHERE account = OLD.account AND day = OLD.finished_at_us / 86400000000 AND OLD.price_usd_nanos IS NOT NULL;
    INSERT INTO spent_by_day (account, day, jobs, usd_nanos)
    SELECT NEW.account, NEW.finished_at_us / 86400000000, 1, NEW.price_usd_nanos
    WHERE NEW.finished_at_us IS NOT NULL AND NEW.price_usd_nanos IS NOT NULL
    ON CONFLICT (account, day) DO UPDATE SET jobs = jobs + 1, usd_nanos = usd_nanos + excluded.usd_nanos;
END;

CREATE TRIGGER spent_by_deleted_job AFTER DELETE ON jobs
WHEN OLD.finished_at_us IS NOT NULL AND OLD.price_usd_nanos IS NOT NULL
BEGIN
    UPDATE spent_by_day SET jobs = jobs - 1, usd_nanos = usd_nanos - OLD.price_usd_nanos
    WHERE account = OLD.account AND day = OLD.finished_at_us / 86400000000;
    DELETE FROM spent_by_day
    WHERE account = OLD.account AND day = OLD.finished_at_us / 86400000000 AND jobs = 0;
END;

-- How far work has come that goes on round after round, also after a restart.
CREATE TABLE marks (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name)
) WITHOUT ROWID;
