"""The SQL statements of the PostgreSQL job store and the values that they take. It runs nothing.

Writes of jobs take arrays, one entry a row: a batch is one statement, and so is a single write.
"""
# ruff: noqa: S608 - every text is made of constants, and every value is bound

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import attrs

from musicgate.codec import dump_delivery, dump_events, dump_job
from musicgate.model import (
    SHARES,
    AuditEntry,
    Delivery,
    IdempotencyClaim,
    Job,
    JobEvent,
    JobQuery,
    JobState,
    origin,
    share_of,
)
from musicgate.store import books
from musicgate.store.columns import DAY_US, claim_row, end_of, microseconds, place_of

# A claim of a key that is taken is skipped, and so is its job. An insertion that meets one of a transaction
# which has not ended waits for its end.
_ADD_JOBS: Final = """
WITH item AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::text[], $14::text[],
        $15::smallint[])
    AS item(place, id, account, state, plugin, native_id, model, created_at_us, updated_at_us, finished_at_us,
        price_usd_nanos, version, doc, events, share)
), claim AS (
    SELECT * FROM unnest($16::int[], $17::text[], $18::text[], $19::text[], $20::text[], $21::text[], $22::bigint[])
    AS claim(place, account, route, key, fingerprint, job_id, created_at_us)
), claimed AS (
    INSERT INTO musicgate.idempotency_keys (account, route, key, fingerprint, job_id, created_at_us)
    SELECT account, route, key, fingerprint, job_id, created_at_us FROM claim
    ON CONFLICT DO NOTHING RETURNING account, route, key, job_id
), added AS (
    INSERT INTO musicgate.jobs (id, account, state, plugin, native_id, model, created_at_us, updated_at_us,
        finished_at_us, price_usd_nanos, version, doc, events, share)
    SELECT id, account, state, plugin, native_id, model, created_at_us, updated_at_us,
        finished_at_us, price_usd_nanos, version, doc, events, share
    FROM item WHERE place NOT IN (SELECT place FROM claim)
        OR place IN (SELECT min(place) FROM claim JOIN claimed USING (account, route, key, job_id)
            GROUP BY account, route, key)
    RETURNING id
){more}
SELECT place FROM item JOIN added USING (id)
"""
#: Entries of the audit log for those of a batch that were stored, whose places ``stored`` selects.
_AUDITED: Final = """, audited AS (
    INSERT INTO musicgate.audit_log ({columns})
    SELECT {columns} FROM unnest({first}::int[], {times}::bigint[], {texts})
    AS entry(place, {columns}) WHERE place IN ({stored}) ORDER BY place
)"""
# Of several changes of one job in a batch one is made, and its place says which. A follower of a job has the
# term of the job's share, and may write until another replica takes the share.
_REPLACE_JOBS: Final = """
WITH item AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bigint[],
        $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::text[], $13::bigint[])
    AS item(place, id, old_version, state, plugin, native_id, finished_at_us, price_usd_nanos, updated_at_us,
        version, doc, events, term)
), changed AS (
    UPDATE musicgate.jobs AS job
    SET state = item.state, plugin = item.plugin, native_id = item.native_id,
        finished_at_us = item.finished_at_us, price_usd_nanos = item.price_usd_nanos,
        updated_at_us = item.updated_at_us, version = item.version, doc = item.doc,
        events = job.events || item.events
    FROM item WHERE job.id = item.id AND job.version = item.old_version
        AND (item.term IS NULL OR item.term = (SELECT term FROM musicgate.shares WHERE share = job.share))
    RETURNING item.place
), sent AS (
    INSERT INTO musicgate.webhook_deliveries (id, job_id, account, origin, next_try_at_us, version, doc)
    SELECT message.id, job_id, account, origin, next_try_at_us, version, doc
    FROM unnest($14::int[], $15::text[], $16::text[], $17::text[], $18::text[], $19::bigint[], $20::bigint[],
        $21::text[])
    AS message(place, id, job_id, account, origin, next_try_at_us, version, doc)
    WHERE place IN (SELECT place FROM changed)
){more}
SELECT place FROM changed
"""
# In one order for all writers: two of them cannot wait for each other.
_COUNTED: Final = f"""
, counted AS (
    INSERT INTO musicgate.usage_by_day AS known ({", ".join((*books.KEYS, *books.SUMS))})
    SELECT {", ".join(books.KEYS)}, {", ".join(f"sum({name})::bigint" for name in books.SUMS)}
    FROM unnest($22::int[], $23::text[], $24::bigint[], $25::text[], $26::text[], $27::text[], $28::text[], $29::text[],
        $30::bigint[], $31::bigint[], $32::bigint[], $33::bigint[])
    AS used(place, {", ".join((*books.KEYS, *books.SUMS))}) WHERE place IN (SELECT place FROM changed)
    GROUP BY {", ".join(books.KEYS)} ORDER BY {", ".join(books.KEYS)}
    ON CONFLICT ({", ".join(books.KEYS)}) DO UPDATE
    SET {", ".join(f"{name} = known.{name} + excluded.{name}" for name in books.SUMS)}
)"""


def _audited(first: int, stored: str) -> str:
    """The part of a statement that writes audit entries, whose arrays begin with that parameter."""
    texts = ", ".join(f"${first + place}::text[]" for place in range(2, 8))
    names = ", ".join(books.AUDIT)
    return _AUDITED.format(
        columns=names, first=f"${first}", times=f"${first + 1}", texts=texts, stored=stored
    )


#: Most batches have no job that ends and no entry: they do not pay for what they have not.
ADD_JOBS: Final = _ADD_JOBS.format(more="")
ADD_AUDITED_JOBS: Final = _ADD_JOBS.format(more=_audited(23, "SELECT place FROM item JOIN added USING (id)"))
REPLACE_JOBS: Final = _REPLACE_JOBS.format(more="")
REPLACE_AND_COUNT_JOBS: Final = _REPLACE_JOBS.format(
    more=_COUNTED + _audited(34, "SELECT place FROM changed")
)
GET: Final = "SELECT id, doc FROM musicgate.jobs WHERE id = $1"
_OF_NATIVE: Final = (
    "FROM musicgate.jobs WHERE account = $1 AND native_id = $2"
    " AND hashtextextended(native_id, 0) = hashtextextended($2, 0) ORDER BY created_at_us DESC, id DESC LIMIT 1"
)
FIND_NATIVE: Final = f"SELECT id, doc {_OF_NATIVE}"
HEAD: Final = "SELECT id, state, plugin, version FROM musicgate.jobs WHERE id = $2 AND account = $1"
HEAD_OF_NATIVE: Final = f"SELECT id, state, plugin, version {_OF_NATIVE}"
# The size of a document is known without reading it.
_PAGE: Final = """
SELECT id, doc, created_at_us FROM (
    SELECT id, doc, created_at_us, sum(octet_length(doc)) OVER (ORDER BY {order} ROWS UNBOUNDED PRECEDING) AS total
    FROM ({page}) AS page
) AS sized WHERE $1::bigint IS NULL OR total <= $1 OR total = octet_length(doc) ORDER BY {order}
"""
_OPEN: Final = (
    "SELECT id, doc, created_at_us FROM musicgate.jobs WHERE finished_at_us IS NULL AND id > $2 AND share = {share}"
    " ORDER BY id LIMIT $3"
)
OPEN_JOBS_OF_SHARE: Final = _PAGE.format(page=_OPEN.format(share="$4"), order="id")
# The first of each share, merged: one look-up a share.
OPEN_JOBS: Final = _PAGE.format(
    page=f"SELECT found.* FROM generate_series(0, {SHARES - 1}) AS one(share) CROSS JOIN LATERAL"
    f" ({_OPEN.format(share='one.share')}) AS found ORDER BY id LIMIT $3",
    order="id",
)
OPEN_IDS: Final = "SELECT id FROM musicgate.jobs WHERE finished_at_us IS NULL AND share = $1 ORDER BY id"
COUNT_OPEN: Final = "SELECT count(*) FROM musicgate.jobs WHERE finished_at_us IS NULL"
COUNT_OPEN_BY_PLUGIN: Final = (
    "SELECT coalesce(plugin, ''), count(*) FROM musicgate.jobs WHERE finished_at_us IS NULL GROUP BY 1"
)
COUNT_OPEN_OF: Final = (
    "SELECT count(*) FROM musicgate.jobs WHERE account = $1 AND state IN ('queued', 'in_progress')"
)
# The whole days from a moment on, and the rest of its own day.
SPENT: Final = """
SELECT (SELECT coalesce(sum(usd_nanos), 0) FROM musicgate.spent_by_day WHERE account = $1 AND day >= $3::bigint)
    + (SELECT coalesce(sum(price_usd_nanos), 0) FROM musicgate.jobs
       WHERE account = $1 AND finished_at_us >= $2 AND finished_at_us < $3 * 86400000000)
"""
FINISHED: Final = (
    "SELECT finished_at_us, id FROM musicgate.jobs WHERE account = $1 AND (finished_at_us, id) > ($2, $3)"
    " AND finished_at_us < $4 ORDER BY finished_at_us, id LIMIT $5"
)
EVENTS: Final = "SELECT events FROM musicgate.jobs WHERE id = $1"
#: All accounts, and all pairs of their states and models, one look-up each.
_ACCOUNTS: Final = (
    "SELECT min(account) FROM musicgate.jobs UNION ALL"
    " SELECT (SELECT min(account) FROM musicgate.jobs WHERE account > accounts.account) FROM accounts"
    " WHERE account IS NOT NULL"
)
ACCOUNTS: Final = f"WITH RECURSIVE accounts(account) AS ({_ACCOUNTS}) SELECT account FROM accounts WHERE account IS NOT NULL"
_IN_STATE: Final = (
    "SELECT min(model) FROM musicgate.jobs WHERE account = before.account AND state = before.state"
)
_MODELS: Final = (
    f"SELECT account, state, ({_IN_STATE}) FROM (SELECT * FROM accounts CROSS JOIN states) AS before"
    f" UNION ALL SELECT account, state, ({_IN_STATE} AND model > before.model) FROM kinds AS before"
    " WHERE model IS NOT NULL"
)
DELETE_JOB: Final = "DELETE FROM musicgate.jobs WHERE id = $1 RETURNING id"
DELETE_CLAIMS_OF: Final = "DELETE FROM musicgate.idempotency_keys WHERE job_id = $1"
FIND_CLAIM: Final = (
    "SELECT account, route, key, fingerprint, job_id, created_at_us FROM musicgate.idempotency_keys"
    " WHERE account = $1 AND route = $2 AND key = $3"
)
DELETE_OLD_CLAIMS: Final = (
    "DELETE FROM musicgate.idempotency_keys WHERE ctid = ANY(ARRAY(SELECT ctid FROM musicgate.idempotency_keys"
    " WHERE created_at_us < $1 ORDER BY created_at_us LIMIT $2 FOR UPDATE)) RETURNING 1"
)
MARK: Final = "SELECT value FROM musicgate.marks WHERE name = $1"
SET_MARK: Final = (
    "INSERT INTO musicgate.marks (name, value) VALUES ($1, $2)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
SWAP_MARK: Final = """
INSERT INTO musicgate.marks AS known (name, value) VALUES ($1, $3)
ON CONFLICT (name) DO UPDATE SET value = CASE known.value WHEN $2 THEN excluded.value ELSE known.value END
RETURNING value
"""
CHECK: Final = (
    "INSERT INTO musicgate.store_check (id, padding) VALUES (1, $1)"
    " ON CONFLICT (id) DO UPDATE SET padding = excluded.padding"
)
#: As large as a large job, so that a disk with room for a page or two does not pass.
CHECK_PADDING: Final = bytes(16_384)


@attrs.frozen(kw_only=True)
class NewJob:
    """A job to be added, as rows without their place in the batch."""

    job: tuple[Any, ...]
    claim: tuple[Any, ...] | None
    audit: tuple[Any, ...] | None = None


@attrs.frozen(kw_only=True)
class Replacement:
    """A change of a job, as rows without their place in the batch."""

    job: tuple[Any, ...]
    messages: tuple[tuple[Any, ...], ...]
    used: tuple[Any, ...] | None = None
    audit: tuple[Any, ...] | None = None


def new_job(
    job: Job,
    events: Iterable[JobEvent],
    claim: IdempotencyClaim | None,
    audit: AuditEntry | None = None,
) -> NewJob:
    """The rows of a new job."""
    row = (
        *(job.id, job.account, *place_of(job), job.request.model),
        *(microseconds(job.created_at), microseconds(job.updated_at), *end_of(job)),
        *(job.version, dump_job(job), dump_events(events), share_of(job.id)),
    )
    return NewJob(
        job=row,
        claim=None if claim is None else claim_row(claim),
        audit=None if audit is None else books.audit_row(audit),
    )


def replacement(
    old: Job,
    new: Job,
    events: Iterable[JobEvent],
    deliveries: Iterable[Delivery] = (),
    term: int | None = None,
    audit: AuditEntry | None = None,
) -> Replacement:
    """The rows of a change, made if the version of ``old`` is still the stored one, and the share's term."""
    row = (
        *(new.id, old.version, *place_of(new), *end_of(new)),
        *(microseconds(new.updated_at), new.version, dump_job(new), dump_events(events), term),
    )
    return Replacement(
        job=row,
        messages=tuple(message_row(delivery) for delivery in deliveries),
        used=books.usage_row(old, new),
        audit=None if audit is None else books.audit_row(audit),
    )


def message_row(delivery: Delivery) -> tuple[Any, ...]:
    """The row of a message to a webhook."""
    return (
        *(delivery.id, delivery.job_id, delivery.account, origin(delivery.url)),
        *(due(delivery), delivery.version, dump_delivery(delivery)),
    )


def due(delivery: Delivery) -> int | None:
    """When a message is to be sent."""
    return None if delivery.next_try_at is None else microseconds(delivery.next_try_at)


def added(batch: Sequence[NewJob]) -> tuple[str, list[list[Any]]]:
    """The statement that adds a batch, and its values; a place is an index in the batch."""
    jobs = [(place, *item.job) for place, item in enumerate(batch)]
    claims = [(place, *item.claim) for place, item in enumerate(batch) if item.claim is not None]
    values = [*_turned(jobs, 15), *_turned(claims, 7)]
    audited = [(place, *item.audit) for place, item in enumerate(batch) if item.audit is not None]
    return (ADD_AUDITED_JOBS, [*values, *_turned(audited, 8)]) if audited else (ADD_JOBS, values)


def replaced(batch: Sequence[Replacement]) -> tuple[str, list[list[Any]]]:
    """The statement that replaces a batch, and its values; a place is an index in the batch."""
    jobs = [(place, *item.job) for place, item in enumerate(batch)]
    messages = [(place, *message) for place, item in enumerate(batch) for message in item.messages]
    values = [*_turned(jobs, 13), *_turned(messages, 8)]
    used = [(place, *item.used) for place, item in enumerate(batch) if item.used is not None]
    audited = [(place, *item.audit) for place, item in enumerate(batch) if item.audit is not None]
    if not used and not audited:
        return REPLACE_JOBS, values
    return REPLACE_AND_COUNT_JOBS, [*values, *_turned(used, 12), *_turned(audited, 8)]


def listing(account: str | None, query: JobQuery) -> tuple[str, list[Any]]:
    """The statement and the values for one page of jobs, of one account or of all, newest first.

    No page walks jobs that it does not show. Without a filter it follows `jobs_listed`; otherwise it takes
    the newest of each account, state and model that are asked for, by their indexes, and merges them. Each
    account and model that there is takes a look-up.
    """
    values: list[Any] = [query.max_bytes, query.limit]

    def bound(value: object) -> str:
        values.append(value)
        return f"${len(values)}"

    before = ""
    if query.before is not None:
        moment, job_id = query.before
        before = f" AND (created_at_us, id) < ({bound(microseconds(moment))}, {bound(job_id)})"
    order = "created_at_us DESC, id DESC"
    newest = f"{before} ORDER BY {order} LIMIT $2"
    is_filtered = bool(query.states) or query.model is not None
    if account is not None and not is_filtered:
        page = f"SELECT id, doc, created_at_us FROM musicgate.jobs WHERE account = {bound(account)}{newest}"
        return _PAGE.format(page=page, order=order), values
    accounts = _ACCOUNTS if account is None else f'SELECT {bound(account)}::text COLLATE "C"'
    tables = [f"accounts(account) AS ({accounts})"]
    same = "own.account = accounts.account"
    if is_filtered:
        states = [state.value for state in dict.fromkeys(query.states or JobState)]
        tables.append(f'states(state) AS (SELECT unnest({bound(states)}::text[]) COLLATE "C")')
        models = _MODELS
        if query.model is not None:
            models = f'SELECT account, state, {bound(query.model)}::text COLLATE "C" FROM accounts CROSS JOIN states'
        tables.append(f"kinds(account, state, model) AS ({models})")
        same = "own.account = kinds.account AND own.state = kinds.state AND own.model = kinds.model"
    page = (
        f"WITH RECURSIVE {', '.join(tables)} SELECT found.id, found.doc, found.created_at_us"
        f" FROM {'kinds' if is_filtered else 'accounts'} CROSS JOIN LATERAL"
        f" (SELECT id, doc, created_at_us FROM musicgate.jobs AS own WHERE {same}{newest}) AS found"
        f" ORDER BY {order} LIMIT $2"
    )
    return _PAGE.format(page=page, order=order), values


def spent_since(account: str, since: datetime) -> tuple[str | int, ...]:
    """Values for `SPENT`."""
    since_us = microseconds(since)
    return (account, since_us, -(-since_us // DAY_US))


def _turned(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Columns of rows; empty ones when there are no rows."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]
