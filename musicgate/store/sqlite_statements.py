"""The SQL statements of the SQLite job store and the rows that they take. It runs nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from musicgate.codec import dump_job
from musicgate.model import IdempotencyClaim, Job, JobHead, JobQuery, JobState

_STATES: Final = {state.value: state for state in JobState}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

ADD_JOB: Final = (
    "INSERT INTO jobs (id, account, state, plugin, native_id, model, created_at_us, updated_at_us,"
    " finished_at_us, price_usd_nanos, version, doc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
REPLACE_JOB: Final = (
    "UPDATE jobs SET state = ?, plugin = ?, native_id = ?, updated_at_us = ?, finished_at_us = ?,"
    " price_usd_nanos = ?, version = ?, doc = ? WHERE id = ? AND version = ?"
)
ADD_EVENT: Final = (
    "INSERT INTO job_events (job_id, number, doc) VALUES"
    " (?1, (SELECT coalesce(max(number), 0) + 1 FROM job_events WHERE job_id = ?1), ?2)"
)
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
# Exactly the condition of the partial indexes `jobs_open` and `jobs_open_of`; otherwise SQLite does not use
# them.
OPEN_JOBS: Final = (
    "SELECT id, doc FROM jobs WHERE state IN ('queued', 'in_progress') AND id > ? ORDER BY id LIMIT ?"
)
COUNT_OPEN: Final = "SELECT count(*) FROM jobs WHERE state IN ('queued', 'in_progress')"
COUNT_OPEN_OF: Final = "SELECT count(*) FROM jobs WHERE account = ? AND state IN ('queued', 'in_progress')"
SPENT: Final = "SELECT coalesce(sum(price_usd_nanos), 0) FROM jobs WHERE account = ? AND finished_at_us >= ?"
FINISHED: Final = (
    "SELECT finished_at_us, id FROM jobs WHERE (finished_at_us, id) > (?, ?) AND finished_at_us < ?"
    " ORDER BY finished_at_us, id LIMIT ?"
)
EVENTS: Final = "SELECT number, doc FROM job_events WHERE job_id = ? AND number > ? ORDER BY number LIMIT ?"
DELETE_JOB: Final = "DELETE FROM jobs WHERE id = ?"
DELETE_EVENTS: Final = "DELETE FROM job_events WHERE job_id = ?"
FIND_CLAIM: Final = (
    "SELECT account, route, key, fingerprint, job_id, created_at_us FROM idempotency_keys"
    " WHERE account = ? AND route = ? AND key = ?"
)
ADD_CLAIM: Final = (
    "INSERT INTO idempotency_keys (account, route, key, fingerprint, job_id, created_at_us)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
DELETE_CLAIMS_OF: Final = "DELETE FROM idempotency_keys WHERE job_id = ?"
DELETE_OLD_CLAIMS: Final = "DELETE FROM idempotency_keys WHERE created_at_us < ?"
# As large as a large job, so that a disk with room for a page or two does not pass.
CHECK: Final = "REPLACE INTO store_check (id, padding) VALUES (1, zeroblob(16384))"


def new_row(job: Job) -> tuple[Any, ...]:
    """Values for `ADD_JOB`."""
    return (
        *(job.id, job.account, job.state, job.plugin, column(job.native_id), column(job.request.model)),
        *(
            microseconds(job.created_at),
            microseconds(job.updated_at),
            *_ended(job),
            job.version,
            dump_job(job),
        ),
    )


def changed_row(job: Job, expected_version: int) -> tuple[Any, ...]:
    """Values for `REPLACE_JOB`."""
    return (
        *(job.state, job.plugin, column(job.native_id), microseconds(job.updated_at), *_ended(job)),
        *(job.version, dump_job(job), job.id, expected_version),
    )


def listing(account: str | None, query: JobQuery) -> tuple[str, tuple[str | int | None, ...]]:
    """The statement and the values for one page of jobs, of one account or of all, newest first."""
    conditions: list[str] = []
    values: list[str | int | None] = []
    if account is not None:
        conditions.append("account = ?")
        values.append(column(account))
    if query.before is not None:
        moment, job_id = query.before
        conditions.append("(created_at_us, id) < (?, ?)")
        values += [microseconds(moment), column(job_id)]
    if query.states:
        conditions.append(f"state IN ({', '.join('?' * len(query.states))})")
        values += [state.value for state in query.states]
    if query.model is not None:
        conditions.append("model = ?")
        values.append(column(query.model))
    # The text is made of the fixed conditions above; every value is bound.
    where = " AND ".join(conditions) or "TRUE"
    columns = "id, doc, created_at_us"
    order = "ORDER BY created_at_us DESC, id DESC LIMIT ?"
    statement = f"SELECT {columns} FROM jobs WHERE {where} {order}"  # noqa: S608 - see above
    return statement, (*values, query.limit)


def read_head(row: tuple[Any, ...]) -> JobHead:
    """A head from a row of `HEAD` or `HEAD_OF_NATIVE`."""
    job_id, state, plugin, version = row
    return JobHead(job_id, _STATES[state], plugin, version)


def claim_key(account: str, route: str, key: str) -> tuple[str | None, ...]:
    """Values for `FIND_CLAIM`."""
    return (column(account), column(route), column(key))


def claim_row(claim: IdempotencyClaim) -> tuple[Any, ...]:
    """Values for `ADD_CLAIM`."""
    return (
        *claim_key(claim.account, claim.route, claim.key),
        *(claim.fingerprint, claim.job_id, microseconds(claim.created_at)),
    )


def read_claim(row: tuple[Any, ...]) -> IdempotencyClaim:
    """A claim from a row of `FIND_CLAIM`."""
    account, route, key, fingerprint, job_id, created_at_us = row
    return IdempotencyClaim(
        account=account,
        route=route,
        key=key,
        fingerprint=fingerprint,
        job_id=job_id,
        created_at=moment(created_at_us),
    )


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment(microseconds_since_1970: int) -> datetime:
    """The time so many microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=microseconds_since_1970)


def column(text: str | None) -> str | None:
    """Escape lone surrogates, which SQLite refuses: ids come from vendors and from URLs."""
    return text if text is None else text.encode("utf-8", "backslashreplace").decode()


def _ended(job: Job) -> tuple[int | None, int | None]:
    """When a job ended and what it cost."""
    ended = job.completed_at if job.state.is_final else None
    price = job.usage.total_usd_nanos if job.usage is not None else None
    return (None if ended is None else microseconds(ended), price)
