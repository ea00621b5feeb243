-- Which jobs use which kept object. An object may be used by several: its name comes from its content.
CREATE TABLE asset_references (
    name TEXT NOT NULL,
    job_id TEXT NOT NULL,
    PRIMARY KEY (name, job_id)
) WITHOUT ROWID;

CREATE INDEX asset_references_of_job ON asset_references (job_id, name);

-- Objects that no job uses any more, until their bytes are removed. While is_being_removed is set, no job may use the
-- object again: its bytes can go at any moment.
CREATE TABLE unused_assets (
    name TEXT NOT NULL,
    is_being_removed INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (name)
) WITHOUT ROWID;

-- Old jobs are swept by account: one index for that and for what jobs cost. One page less to write when a job ends.
DROP INDEX jobs_finished;
DROP INDEX jobs_spent;
CREATE INDEX jobs_ended ON jobs (account, finished_at_us, id, price_usd_nanos) WHERE finished_at_us IS NOT NULL;
