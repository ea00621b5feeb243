"""The SQL statements of the SQLite job store and the rows that they take. It runs nothing."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from musicgate.codec import dump_events, dump_job
from musicgate.model import Job, JobEvent, JobQuery, JobState
from musicgate.store.columns import DAY_US, column, end_of, microseconds, place_of

# Without the end of a job, since no trigger follows inserts: one would make each of them 3 us longer.
ADD_JOB: Final = (
    "INSERT INTO jobs (id, account, state, plugin, native_id, model, created_at_us, updated_at_us,"
    " version, doc, events) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
#: To be run after `ADD_JOB` for a job that has ended.
END_ADDED_JOB: Final = "UPDATE jobs SET finished_at_us = ?, price_usd_nanos = ? WHERE id = ?"
# SQLite writes anew each index whose columns are named, and runs their triggers, changed or not. So a change
# names what it changes: a vendor's answer costs 7 us instead of 12, a job that only has more to tell 4 us.
_REPLACE: Final = (
    "UPDATE jobs SET %supdated_at_us = ?, version = ?, doc = ?, events = events || ?"
    " WHERE id = ? AND version = ?"
)
_PLACE: Final = "state = ?, plugin = ?, native_id = ?, "
_END: Final = "finished_at_us = ?, price_usd_nanos = ?, "
_REPLACE_DOC: Final = _REPLACE % ""
_REPLACE_PLACE: Final = _REPLACE % _PLACE
_REPLACE_ALL: Final = _REPLACE % (_PLACE + _END)
GET: Final = "SELECT id, doc FROM jobs WHERE id = ?"
FIND_NATIVE: Final = (
    "SELECT id, doc FROM jobs WHERE account = ? AND native_id = ?"
    " ORDER BY created_at_us DESC, id DESC LIMIT 1"
)
HEAD: Final = "SELECT id, state, plugin, version FROM jobs WHERE id = ? AND account = ?"
HEAD_OF_NATIVE: Final = (
    "SELECT id, state, plugin, version FROM jobs WHERE account = ? AND native_id = ?"
    " ORDER BY created_at_us DESC, id DESC LIMIT 1"
)
# Exactly the condition of the partial index `jobs_open`; otherwise SQLite does not use it.
OPEN_JOBS: Final = "SELECT id, doc FROM jobs WHERE finished_at_us IS NULL AND id > ? ORDER BY id LIMIT ?"
OPEN_IDS: Final = "SELECT id FROM jobs WHERE finished_at_us IS NULL ORDER BY id"
COUNT_OPEN: Final = "SELECT count(*) FROM jobs WHERE finished_at_us IS NULL"
COUNT_OPEN_BY_PLUGIN: Final = (
    "SELECT coalesce(plugin, ''), count(*) FROM jobs WHERE finished_at_us IS NULL GROUP BY 1"
)
COUNT_OPEN_OF: Final = "SELECT count(*) FROM jobs WHERE account = ? AND state IN ('queued', 'in_progress')"
# The whole days from a moment on, and the rest of its own day.
SPENT: Final = (
    "SELECT (SELECT coalesce(sum(usd_nanos), 0) FROM spent_by_day WHERE account = ?1 AND day >= ?3)"
    " + (SELECT coalesce(sum(price_usd_nanos), 0) FROM jobs"
    " WHERE account = ?1 AND finished_at_us >= ?2 AND finished_at_us < ?3 * 86400000000)"
)
FINISHED: Final = (
    "SELECT finished_at_us, id FROM jobs WHERE account = ? AND (finished_at_us, id) > (?, ?)"
    " AND finished_at_us < ? ORDER BY finished_at_us, id LIMIT ?"
)
#: The events of a job in its row, and how many it has before them in `job_events`.
EVENTS: Final = (
    "SELECT events, (SELECT coalesce(max(number), 0) FROM job_events WHERE job_id = id)"
    " FROM jobs WHERE id = ?"
)
EARLIER_EVENTS: Final = "SELECT number, doc FROM job_events WHERE job_id = ? AND number > ? ORDER BY number"
#: All accounts, and all pairs of their states and models, one look-up each.
_ACCOUNTS: Final = (
    "SELECT min(account) FROM jobs UNION ALL"
    " SELECT (SELECT min(account) FROM jobs WHERE account > accounts.account) FROM accounts"
    " WHERE account IS NOT NULL"
)
ACCOUNTS: Final = (
    f"WITH RECURSIVE accounts(account) AS ({_ACCOUNTS})"  # noqa: S608 - constants
    " SELECT account FROM accounts WHERE account IS NOT NULL"
)
_IN_STATE: Final = "SELECT min(model) FROM jobs WHERE account = before.account AND state = before.state"
_MODELS: Final = (
    f"SELECT account, state, ({_IN_STATE}) FROM (SELECT * FROM accounts CROSS JOIN states) AS before"  # noqa: S608
    f" UNION ALL SELECT account, state, ({_IN_STATE} AND model > before.model) FROM kinds AS before"
    " WHERE model IS NOT NULL"
)
_MODEL: Final = "SELECT account, state, :model FROM accounts CROSS JOIN states"
_SAME_KIND: Final = "own.account = kinds.account AND own.state = kinds.state AND own.model = kinds.model"
DELETE_JOB: Final = "DELETE FROM jobs WHERE id = ?"
DELETE_EARLIER_EVENTS: Final = "DELETE FROM job_events WHERE job_id = ?"
FIND_CLAIM: Final = (
    "SELECT account, route, key, fingerprint, job_id, created_at_us FROM idempotency_keys"
    " WHERE account = ? AND route = ? AND key = ?"
)
ADD_CLAIM: Final = (
    "INSERT INTO idempotency_keys (account, route, key, fingerprint, job_id, created_at_us)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
DELETE_CLAIMS_OF: Final = "DELETE FROM idempotency_keys WHERE job_id = ?"
DELETE_OLD_CLAIMS: Final = (
    "DELETE FROM idempotency_keys WHERE (account, route, key) IN"
    " (SELECT account, route, key FROM idempotency_keys WHERE created_at_us < ? ORDER BY created_at_us LIMIT ?)"
)
MARK: Final = "SELECT value FROM marks WHERE name = ?"
SET_MARK: Final = "REPLACE INTO marks (name, value) VALUES (?, ?)"
SWAP_MARK: Final = (
    "INSERT INTO marks (name, value) VALUES (?1, ?3)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE value = ?2"
)
# As large as a large job, so that a disk with room for a page or two does not pass.
CHECK: Final = "REPLACE INTO store_check (id, padding) VALUES (1, zeroblob(16384))"


def new_row(job: Job, events: Iterable[JobEvent] = ()) -> tuple[Any, ...]:
    """Values for `ADD_JOB`."""
    created_us = microseconds(job.created_at)
    updated_us = created_us if job.updated_at is job.created_at else microseconds(job.updated_at)
    return (
        *(job.id, job.account, job.state, job.plugin, column(job.native_id), column(job.request.model)),
        *(created_us, updated_us, job.version, dump_job(job), dump_events(events)),
    )


def end_of_row(job: Job) -> tuple[int | str | None, ...] | None:
    """Values for `END_ADDED_JOB`; None for a job without an end and a price, as nearly every new one is."""
    end = end_of(job)
    return None if end == (None, None) else (*end, job.id)


def replacement(old: Job, new: Job, events: Iterable[JobEvent] = ()) -> tuple[str, tuple[Any, ...]]:
    """The statement and the values that replace ``old``, if its version is still the stored one.

    Args:
        events: appended to those of the job.
    """
    kept = (
        microseconds(new.updated_at),
        new.version,
        dump_job(new),
        dump_events(events),
        new.id,
        old.version,
    )
    place, end = place_of(new), end_of(new)
    if end != end_of(old):
        return _REPLACE_ALL, (*place, *end, *kept)
    return (_REPLACE_DOC, kept) if place == place_of(old) else (_REPLACE_PLACE, (*place, *kept))


def listing(account: str | None, query: JobQuery) -> tuple[str, dict[str, str | int | None]]:
    """The statement and the values for one page of jobs, of one account or of all, newest first.

    No page walks jobs that it does not show. Without a filter it follows `jobs_listed`; otherwise it takes
    the newest of each account, state and model that are asked for, by their indexes, and merges them. Each
    account and model that there is takes a look-up.
    """
    values: dict[str, str | int | None] = {"account": column(account), "model": column(query.model)}
    values["limit"] = query.limit
    before = ""
    if query.before is not None:
        moment, job_id = query.before
        before = " AND (created_at_us, id) < (:before_us, :before_id)"
        values |= {"before_us": microseconds(moment), "before_id": column(job_id)}
    newest = f"{before} ORDER BY created_at_us DESC, id DESC LIMIT :limit"
    is_filtered = bool(query.states) or query.model is not None
    if account is not None and not is_filtered:
        return f"SELECT id, doc, created_at_us FROM jobs WHERE account = :account{newest}", values  # noqa: S608
    states = dict.fromkeys(query.states or JobState)
    values |= {f"state_{index}": state.value for index, state in enumerate(states)}
    state_rows = ", ".join(f"(:state_{index})" for index in range(len(states)))
    tables = [
        "accounts(account) AS (" + (_ACCOUNTS if account is None else "VALUES (:account)") + ")",
        f"states(state) AS (VALUES {state_rows})",
        "kinds(account, state, model) AS (" + (_MODELS if query.model is None else _MODEL) + ")",
    ]
    group, same = ("kinds", _SAME_KIND) if is_filtered else ("accounts", "own.account = accounts.account")
    # The text is made of the fixed conditions above; every value is bound. The page is sorted without its
    # documents, which are read one by one in its order: CROSS JOIN keeps the order of its loops.
    statement = (
        f"WITH RECURSIVE {', '.join(tables)} SELECT jobs.id, jobs.doc, jobs.created_at_us"  # noqa: S608
        f" FROM (SELECT found.rowid AS place FROM {group} CROSS JOIN jobs AS found"
        f" ON found.rowid IN (SELECT rowid FROM jobs AS own WHERE {same}{newest})"
        " ORDER BY found.created_at_us DESC, found.id DESC LIMIT :limit)"
        " AS page CROSS JOIN jobs ON jobs.rowid = page.place"
    )
    return statement, values


def spent_since(account: str, since: datetime) -> tuple[str | int | None, ...]:
    """Values for `SPENT`."""
    since_us = microseconds(since)
    return (column(account), since_us, -(-since_us // DAY_US))
