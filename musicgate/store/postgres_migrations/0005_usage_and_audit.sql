-- works with: 3
-- What ended jobs used, by day (UTC, days since 1970) and by what they are counted under. A job is counted once, in the
-- transaction that stores its end, and stays counted when it is removed. outcome: completed, or the class of the failure.
-- Earlier software counts nothing: while replicas are replaced one by one, the jobs that it ends are missing here.
CREATE TABLE musicgate.usage_by_day (
    account text COLLATE "C" NOT NULL,
    day bigint NOT NULL,
    key_id text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    plugin text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    outcome text COLLATE "C" NOT NULL,
    jobs bigint NOT NULL,
    usd_nanos bigint NOT NULL,
    unpriced_jobs bigint NOT NULL,
    audio_ms bigint NOT NULL,
    PRIMARY KEY (account, day, key_id, provider, plugin, model, outcome)
) WITH (fillfactor = 50);

CREATE INDEX usage_of_day ON musicgate.usage_by_day (day);

-- Who did what. The newest row always stays.
CREATE TABLE musicgate.audit_log (
    number bigint GENERATED ALWAYS AS IDENTITY,
    at_us bigint NOT NULL,
    action text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    key_id text COLLATE "C" NOT NULL,
    job_id text COLLATE "C" NOT NULL,
    request_id text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    PRIMARY KEY (number)
);

-- A row gets its number before its transaction ends, and a lower number may become visible later. So a writer holds a
-- shared lock ("mgal") from before the number to the end, and a reader that had it alone knows up to where all are there.
CREATE FUNCTION musicgate.hold_audit_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1835491692, 0);
    RETURN NULL;
END
$$;

CREATE TRIGGER audit_log_is_held BEFORE INSERT ON musicgate.audit_log FOR EACH STATEMENT
EXECUTE FUNCTION musicgate.hold_audit_log();

-- The only rows that may be deleted are older than a setting that sweep_audit_log has for its own transaction.
CREATE FUNCTION musicgate.refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.at_us < coalesce(nullif(current_setting('musicgate.audit_sweep_before_us', true), ''), '0')::bigint THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'musicgate.audit_log is append-only';
END
$$;

CREATE TRIGGER audit_log_is_not_changed BEFORE UPDATE OR DELETE ON musicgate.audit_log FOR EACH ROW
EXECUTE FUNCTION musicgate.refuse_audit_change();

CREATE TRIGGER audit_log_is_not_emptied BEFORE TRUNCATE ON musicgate.audit_log FOR EACH STATEMENT
EXECUTE FUNCTION musicgate.refuse_audit_change();

-- Delete a page of the oldest rows that are older than that, and give their number.
CREATE FUNCTION musicgate.sweep_audit_log(before_us bigint, most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    swept bigint;
BEGIN
    PERFORM set_config('musicgate.audit_sweep_before_us', before_us::text, true);
    DELETE FROM musicgate.audit_log WHERE number IN (
        SELECT oldest.number FROM (SELECT number, at_us FROM musicgate.audit_log ORDER BY number LIMIT most) AS oldest
        WHERE oldest.at_us < before_us AND oldest.number < (SELECT max(number) FROM musicgate.audit_log)
    );
    GET DIAGNOSTICS swept = ROW_COUNT;
    PERFORM set_config('musicgate.audit_sweep_before_us', '', true);
    RETURN swept;
END
$$;
