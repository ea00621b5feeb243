-- works with: 3
-- What the limits of accounts and of vendors have used, counted for all replicas by PostgreSQL's clock.
--
-- Everything about an account or a provider happens under an advisory lock of its own, for the rest of the transaction;
-- so nothing of it can be used twice. Each of these statements must see what was committed before it got the lock: the
-- isolation level is READ COMMITTED, which the start of a store checks.

-- The sums of account_calls and reservations, but for what account_changes holds: a request must not have to count them.
CREATE TABLE musicgate.account_usage (
    account text COLLATE "C" NOT NULL,
    calls bigint NOT NULL,
    open_jobs bigint NOT NULL,
    usd_nanos bigint NOT NULL,
    PRIMARY KEY (account)
) WITH (fillfactor = 50);

-- Differences that are still to be added to account_usage. Jobs end in batches, and none of these waits for a request.
CREATE TABLE musicgate.account_changes (
    account text COLLATE "C" NOT NULL,
    calls bigint NOT NULL,
    open_jobs bigint NOT NULL,
    usd_nanos bigint NOT NULL
);

CREATE INDEX account_changes_of ON musicgate.account_changes (account);

-- The calls of the last minute, of accounts that have a rate limit.
CREATE TABLE musicgate.account_calls (
    account text COLLATE "C" NOT NULL,
    called_at timestamptz NOT NULL,
    id text COLLATE "C" NOT NULL,
    PRIMARY KEY (account, called_at, id)
);

-- The open jobs, with what they are expected to cost, of accounts whose open jobs or spend are limited: from the admission
-- of a request, before its job is stored, to the end of the job.
CREATE TABLE musicgate.reservations (
    job_id text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    usd_nanos bigint NOT NULL,
    reserved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (job_id)
);

CREATE INDEX reservations_by_age ON musicgate.reservations (reserved_at);

-- The create calls at providers that limit them. One counts while it runs (ended_at is NULL), and in the window of the
-- provider until that long after its end: when the vendor counted it is unknown, only that it was in between.
CREATE TABLE musicgate.create_slots (
    id text COLLATE "C" NOT NULL,
    plugin text COLLATE "C" NOT NULL,
    replica text COLLATE "C" NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (id)
);

CREATE INDEX create_slots_of ON musicgate.create_slots (plugin, ended_at);

-- Whatever removes or changes a reservation, the sums learn of it.
CREATE FUNCTION musicgate.note_reservation_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO musicgate.account_changes VALUES (OLD.account, 0, -1, -OLD.usd_nanos);
    ELSE
        INSERT INTO musicgate.account_changes VALUES (NEW.account, 0, 0, NEW.usd_nanos - OLD.usd_nanos);
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER removed_reservation AFTER DELETE ON musicgate.reservations FOR EACH ROW
EXECUTE FUNCTION musicgate.note_reservation_change();

CREATE TRIGGER changed_reservation AFTER UPDATE OF usd_nanos ON musicgate.reservations FOR EACH ROW
EXECUTE FUNCTION musicgate.note_reservation_change();

-- A reservation ends with its job, in the transaction that adds the price of the job to spent_by_day.
CREATE FUNCTION musicgate.end_reservation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM musicgate.reservations WHERE job_id = OLD.id;
    RETURN NULL;
END
$$;

CREATE TRIGGER reservation_of_changed_job AFTER UPDATE OF finished_at_us ON musicgate.jobs FOR EACH ROW
WHEN (OLD.finished_at_us IS NULL AND NEW.finished_at_us IS NOT NULL)
EXECUTE FUNCTION musicgate.end_reservation();

CREATE TRIGGER reservation_of_deleted_job AFTER DELETE ON musicgate.jobs FOR EACH ROW
WHEN (OLD.finished_at_us IS NULL)
EXECUTE FUNCTION musicgate.end_reservation();

-- Admit one more request of an account if that exceeds none of its limits, of which 0 means unlimited, and count it. Its
-- cheapest price decides about the budget; reserved_nanos is what it reserves, NULL where it makes no job.
-- Gives what was used before it; calls_wait_s: seconds until there is one more call, where none is left after it.
CREATE FUNCTION musicgate.admit_request(
    of_account text, request_id text, calls_a_minute bigint, most_open_jobs bigint, budget_nanos bigint,
    price_nanos bigint, reserved_nanos bigint,
    OUT is_admitted boolean, OUT used_calls bigint, OUT calls_wait_s float8, OUT used_jobs bigint, OUT used_nanos bigint,
    OUT asked_at timestamptz
) LANGUAGE plpgsql AS $$
DECLARE
    more_calls bigint;
    more_jobs bigint;
    more_nanos bigint;
    spent_nanos bigint;
    ended_calls bigint;
BEGIN
    asked_at := clock_timestamp();
    -- One statement: a job that ends at this moment is seen as open, or as spent, but never as both or as neither.
    WITH changed AS (
        DELETE FROM musicgate.account_changes WHERE account = of_account RETURNING calls, open_jobs, usd_nanos
    )
    SELECT coalesce(sum(calls), 0), coalesce(sum(open_jobs), 0), coalesce(sum(usd_nanos), 0), (
        SELECT coalesce(sum(spent.usd_nanos), 0) FROM musicgate.spent_by_day AS spent
        WHERE spent.account = of_account AND spent.day >= floor(extract(epoch FROM asked_at) / 86400)::bigint
    ) INTO more_calls, more_jobs, more_nanos, spent_nanos FROM changed;
    IF calls_a_minute > 0 THEN
        -- The clock was set back: at worst a whole minute is waited for.
        UPDATE musicgate.account_calls SET called_at = asked_at WHERE account = of_account AND called_at > asked_at;
        DELETE FROM musicgate.account_calls
        WHERE account = of_account AND called_at <= asked_at - interval '1 minute';
        GET DIAGNOSTICS ended_calls = ROW_COUNT;
        more_calls := more_calls - ended_calls;
    END IF;
    SELECT calls, open_jobs, usd_nanos INTO used_calls, used_jobs, used_nanos
    FROM musicgate.account_usage WHERE account = of_account;
    used_calls := coalesce(used_calls, 0) + more_calls;
    used_jobs := coalesce(used_jobs, 0) + more_jobs;
    used_nanos := coalesce(used_nanos, 0) + more_nanos + spent_nanos;
    is_admitted := NOT (
        (calls_a_minute > 0 AND used_calls >= calls_a_minute)
        OR (most_open_jobs > 0 AND used_jobs >= most_open_jobs)
        OR (budget_nanos > 0 AND (used_nanos >= budget_nanos OR used_nanos + price_nanos > budget_nanos))
    );
    calls_wait_s := 0;
    IF calls_a_minute > 0 AND used_calls >= calls_a_minute - 1 THEN
        SELECT extract(epoch FROM called_at + interval '1 minute' - asked_at) INTO calls_wait_s
        FROM musicgate.account_calls WHERE account = of_account
        ORDER BY called_at OFFSET greatest(used_calls - calls_a_minute, 0) LIMIT 1;
        calls_wait_s := coalesce(calls_wait_s, 60);
    END IF;
    IF is_admitted AND calls_a_minute > 0 THEN
        INSERT INTO musicgate.account_calls VALUES (of_account, asked_at, request_id);
        more_calls := more_calls + 1;
    END IF;
    IF is_admitted AND reserved_nanos IS NOT NULL THEN
        INSERT INTO musicgate.reservations VALUES (request_id, of_account, reserved_nanos);
        more_jobs := more_jobs + 1;
        more_nanos := more_nanos + reserved_nanos;
    END IF;
    IF more_calls <> 0 OR more_jobs <> 0 OR more_nanos <> 0 THEN
        INSERT INTO musicgate.account_usage AS known VALUES (of_account, more_calls, more_jobs, more_nanos)
        ON CONFLICT (account) DO UPDATE SET calls = known.calls + excluded.calls,
            open_jobs = known.open_jobs + excluded.open_jobs, usd_nanos = known.usd_nanos + excluded.usd_nanos;
    END IF;
END
$$;

-- Take a slot at a provider, whose limits are NULL where it has none; or go on with one that is held, if it is.
-- Gives its id; or the seconds until there is one, infinite where one that runs must end first. Then it names those of
-- other replicas, which may be dead: of such a one no end will be told.
CREATE FUNCTION musicgate.take_slot(
    of_plugin text, new_id text, held_id text, of_replica text, most_running bigint, calls_in_window bigint,
    window_s float8,
    OUT slot text, OUT slot_wait_s float8, OUT foreign_slots text[], OUT foreign_replicas text[]
) LANGUAGE plpgsql AS $$
DECLARE
    asked_at CONSTANT timestamptz := clock_timestamp();
    in_window CONSTANT interval := make_interval(secs => coalesce(window_s, 0));
    running bigint;
    counted bigint;
BEGIN
    slot_wait_s := 0;
    IF held_id IS NOT NULL AND EXISTS (SELECT FROM musicgate.create_slots WHERE id = held_id AND ended_at IS NULL) THEN
        slot := held_id;
        RETURN;
    END IF;
    -- The clock was set back: at worst a whole window is waited for.
    UPDATE musicgate.create_slots SET ended_at = asked_at WHERE plugin = of_plugin AND ended_at > asked_at;
    DELETE FROM musicgate.create_slots WHERE plugin = of_plugin AND ended_at <= asked_at - in_window;
    SELECT count(*) FILTER (WHERE ended_at IS NULL), count(*) INTO running, counted
    FROM musicgate.create_slots WHERE plugin = of_plugin;
    IF running >= most_running OR running >= calls_in_window THEN
        slot_wait_s := 'Infinity';
        SELECT array_agg(id), array_agg(replica) INTO foreign_slots, foreign_replicas
        FROM musicgate.create_slots WHERE plugin = of_plugin AND ended_at IS NULL AND replica <> of_replica;
    ELSIF counted >= calls_in_window THEN
        SELECT extract(epoch FROM ended_at + in_window - asked_at) INTO slot_wait_s
        FROM musicgate.create_slots WHERE plugin = of_plugin AND ended_at IS NOT NULL
        ORDER BY ended_at OFFSET counted - calls_in_window LIMIT 1;
    ELSE
        INSERT INTO musicgate.create_slots VALUES (new_id, of_plugin, of_replica);
        slot := new_id;
    END IF;
END
$$;

-- Give back what is not used any more; each part of `back` may be missing, and giving back twice changes nothing.
CREATE FUNCTION musicgate.give_back(back jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF back ? 'slots' THEN
        UPDATE musicgate.create_slots SET ended_at = clock_timestamp() - make_interval(secs => given.ended_s_ago)
        FROM jsonb_to_recordset(back -> 'slots') AS given (id text, ended_s_ago float8)
        WHERE create_slots.id = given.id AND given.ended_s_ago IS NOT NULL AND (
            ended_at IS NULL OR ended_at < clock_timestamp() - make_interval(secs => given.ended_s_ago + 1)
        );
        -- No call was made.
        DELETE FROM musicgate.create_slots
        USING jsonb_to_recordset(back -> 'slots') AS given (id text, ended_s_ago float8)
        WHERE create_slots.id = given.id AND given.ended_s_ago IS NULL;
    END IF;
    IF back ? 'reservations' THEN
        DELETE FROM musicgate.reservations WHERE job_id IN (SELECT jsonb_array_elements_text(back -> 'reservations'))
            AND NOT EXISTS (SELECT FROM musicgate.jobs WHERE id = job_id AND finished_at_us IS NULL);
    END IF;
    IF back ? 'calls' THEN
        WITH gone AS (
            DELETE FROM musicgate.account_calls
            USING jsonb_to_recordset(back -> 'calls') AS given (account text, called_at timestamptz, id text)
            WHERE account_calls.account = given.account AND account_calls.called_at = given.called_at
                AND account_calls.id = given.id
            RETURNING account_calls.account
        )
        INSERT INTO musicgate.account_changes SELECT account, -count(*), 0, 0 FROM gone GROUP BY account;
    END IF;
    IF back ? 'prices' THEN
        UPDATE musicgate.reservations SET usd_nanos = given.usd_nanos
        FROM jsonb_to_recordset(back -> 'prices') AS given (job_id text, usd_nanos bigint)
        WHERE reservations.job_id = given.job_id AND reservations.usd_nanos <> given.usd_nanos;
    END IF;
    -- A job cannot end while it gets its reservation, which would then stay.
    IF back ? 'jobs' THEN
        WITH noted AS (
            INSERT INTO musicgate.reservations (job_id, account, usd_nanos)
            SELECT job.id, job.account, given.usd_nanos
            FROM jsonb_to_recordset(back -> 'jobs') AS given (job_id text, usd_nanos bigint)
            JOIN musicgate.jobs AS job ON job.id = given.job_id
            WHERE job.finished_at_us IS NULL
                AND NOT EXISTS (SELECT FROM musicgate.reservations AS known WHERE known.job_id = job.id)
            FOR SHARE OF job
            ON CONFLICT DO NOTHING
            RETURNING account, usd_nanos
        )
        INSERT INTO musicgate.account_changes SELECT account, 0, count(*), sum(usd_nanos) FROM noted GROUP BY account;
    END IF;
END
$$;

-- Answer a batch of requests: each may ask for the admission of an account, and then for a slot at a provider.
-- What is given back comes first, as far as a crash of PostgreSQL may forget it. The commit is not waited for: nothing is
-- sent before the job itself is stored, and the commit of that one makes all earlier ones durable. After a slot is
-- confirmed nothing else is stored before the call, so that this commit is waited for.
CREATE FUNCTION musicgate.ask_ledger(asked jsonb, back jsonb, of_replica text) RETURNS TABLE (
    is_admitted boolean, used_calls bigint, calls_wait_s float8, used_jobs bigint, used_nanos bigint,
    asked_at timestamptz, slot text, slot_wait_s float8, foreign_slots text[], foreign_replicas text[]
) LANGUAGE plpgsql AS $$
DECLARE
    item record;
BEGIN
    IF NOT asked @? '$[*].held_slot ? (@ != null)' THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;
    -- Where the commit is a statement of its own (behind a pooler), a stopped replica keeps no lock.
    PERFORM set_config('idle_in_transaction_session_timeout', '10s', true);
    -- All locks of the batch ("mgla", "mglp"), in one order for all replicas: two of them cannot wait for each other.
    PERFORM pg_advisory_xact_lock(kind, key) FROM (
        SELECT DISTINCT kind, hashtext(name) AS key
        FROM jsonb_to_recordset(asked) AS wanted (account text, plugin text)
        CROSS JOIN LATERAL (VALUES (1835494497, account), (1835494512, plugin)) AS named (kind, name)
        WHERE name IS NOT NULL ORDER BY 1, 2
    ) AS keys;
    PERFORM musicgate.give_back(back);
    FOR item IN SELECT * FROM jsonb_to_recordset(asked) AS wanted (
        account text, id text, calls bigint, open_jobs bigint, budget bigint, price bigint, reserved bigint,
        plugin text, new_slot text, held_slot text, parallel bigint, window_calls bigint, window_s float8
    ) LOOP
        is_admitted := NULL;
        slot := NULL;
        slot_wait_s := 0;
        foreign_slots := NULL;
        foreign_replicas := NULL;
        IF item.account IS NOT NULL THEN
            SELECT admitted.* INTO is_admitted, used_calls, calls_wait_s, used_jobs, used_nanos, asked_at
            FROM musicgate.admit_request(item.account, item.id, item.calls, item.open_jobs, item.budget, item.price,
                item.reserved) AS admitted;
        END IF;
        IF item.plugin IS NOT NULL AND is_admitted IS NOT FALSE THEN
            SELECT taken.* INTO slot, slot_wait_s, foreign_slots, foreign_replicas
            FROM musicgate.take_slot(item.plugin, item.new_slot, item.held_slot, of_replica, item.parallel,
                item.window_calls, item.window_s) AS taken;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;

-- Forget calls that are a minute old, and reservations of requests that never became a job: their replica died in between.
-- The others end with their jobs, so each is looked at once; an hour more is for a clock that was set back.
CREATE FUNCTION musicgate.sweep_ledger() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    asked_at CONSTANT timestamptz := clock_timestamp();
    looked_at timestamptz;
BEGIN
    WITH gone AS (
        DELETE FROM musicgate.account_calls WHERE called_at <= asked_at - interval '1 minute' RETURNING account
    )
    INSERT INTO musicgate.account_changes SELECT account, -count(*), 0, 0 FROM gone GROUP BY account;
    SELECT to_timestamp(value::float8) INTO looked_at FROM musicgate.marks WHERE name = 'reservations_looked_at';
    DELETE FROM musicgate.reservations
    WHERE reserved_at <= asked_at - interval '10 minutes'
        AND (looked_at IS NULL OR reserved_at > looked_at - interval '70 minutes')
        AND NOT EXISTS (SELECT FROM musicgate.jobs WHERE id = job_id AND finished_at_us IS NULL);
    INSERT INTO musicgate.marks VALUES ('reservations_looked_at', extract(epoch FROM asked_at))
    ON CONFLICT (name) DO UPDATE SET value = excluded.value;
END
$$;
