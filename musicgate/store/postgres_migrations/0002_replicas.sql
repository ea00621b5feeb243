-- works with: 2
-- Open jobs are dealt out to replicas in 64 shares, by the first byte of the MD5 digest of their ids. It is written with
-- the job: a server in FIPS mode has no md5().
ALTER TABLE musicgate.jobs ADD COLUMN share smallint;
UPDATE musicgate.jobs SET share = get_byte(decode(left(md5(id), 2), 'hex'), 0) % 64;
ALTER TABLE musicgate.jobs ALTER COLUMN share SET NOT NULL;

DROP INDEX musicgate.jobs_open;
CREATE INDEX jobs_open ON musicgate.jobs (share, id) WHERE finished_at_us IS NULL;

-- The oldest schema version whose software can use these tables: a newer one adds to them where it can.
ALTER TABLE musicgate.schema_version ADD COLUMN works_with int NOT NULL DEFAULT 2;

-- Which process is removing the bytes of an object, and since when. Where another one had to take a removal over, the
-- first may only have been stalled, and remove the bytes at any later time: such a name is not used again (is_retired).
ALTER TABLE musicgate.unused_assets ADD COLUMN remover text COLLATE "C";
ALTER TABLE musicgate.unused_assets ADD COLUMN began_at timestamptz;
ALTER TABLE musicgate.unused_assets ADD COLUMN is_retired boolean NOT NULL DEFAULT false;
ALTER TABLE musicgate.unused_assets ADD COLUMN is_removed boolean NOT NULL DEFAULT false;

-- Who follows which share. The term is counted up whenever a replica takes the share; what a follower writes carries it.
CREATE TABLE musicgate.shares (
    share smallint NOT NULL,
    term bigint NOT NULL DEFAULT 0,
    replica text COLLATE "C",
    PRIMARY KEY (share)
) WITH (fillfactor = 50);

INSERT INTO musicgate.shares (share) SELECT generate_series(0, 63);

-- The processes that use this database, each with a row that it renews. One that has ended is removed, or is silent.
-- One that is about to end takes no shares any more, and makes the calls to their end that it has begun.
CREATE TABLE musicgate.replicas (
    id text COLLATE "C" NOT NULL,
    host text NOT NULL,
    software text NOT NULL,
    schema_version int NOT NULL,
    started_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    takes_shares boolean NOT NULL DEFAULT true,
    PRIMARY KEY (id)
) WITH (fillfactor = 50);
