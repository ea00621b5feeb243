-- The account of each message to a webhook, so that due messages can be shared out between accounts.
-- The table is made anew: ADD COLUMN would need a default, and no message is without an account.

DROP INDEX webhook_deliveries_of;
DROP INDEX webhook_deliveries_due;
ALTER TABLE webhook_deliveries RENAME TO webhook_deliveries_earlier;

CREATE TABLE webhook_deliveries (
    id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    account TEXT NOT NULL,
    origin TEXT NOT NULL,
    next_try_at_us BIGINT,
    version BIGINT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (id)
);

-- A message is deleted with its job, so each one has a job.
INSERT INTO webhook_deliveries (id, job_id, account, origin, next_try_at_us, version, doc)
SELECT earlier.id, job_id, jobs.account, origin, next_try_at_us, earlier.version, earlier.doc
FROM webhook_deliveries_earlier AS earlier JOIN jobs ON jobs.id = earlier.job_id;

DROP TABLE webhook_deliveries_earlier;

-- Account and origin are in the indexes so that messages that cannot be sent yet are skipped without reading their rows.
CREATE INDEX webhook_deliveries_of ON webhook_deliveries (job_id, id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_try_at_us, id, account, origin)
WHERE next_try_at_us IS NOT NULL;
CREATE INDEX webhook_deliveries_due_of ON webhook_deliveries (account, next_try_at_us, id, origin)
WHERE next_try_at_us IS NOT NULL;
