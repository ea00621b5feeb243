"""The tables of every SQL store, defined once; it knows no database in particular and issues no statement.

A change here needs a migration beside it (`musicgate/adapters/migrations/versions`); a test holds the two together.
The stores themselves speak plain SQL: SQLAlchemy is imported for migrations only, never to serve a request.
"""

import sqlalchemy as sa

metadata = sa.MetaData()

#: One row per job. What is searched for has a column of its own; the whole job is the JSON in ``doc``.
jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("plugin", sa.Text),
    sa.Column("native_id", sa.Text),
    # The model as the caller asked for it.
    sa.Column("model", sa.Text, nullable=False),
    # Microseconds since 1970, so that every database orders them alike and none rounds them.
    sa.Column("created_at_us", sa.BigInteger, nullable=False),
    sa.Column("updated_at_us", sa.BigInteger, nullable=False),
    # When the job ended and what it cost; empty while it is open, or where the price is not known.
    sa.Column("finished_at_us", sa.BigInteger),
    sa.Column("price_usd_nanos", sa.BigInteger),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("doc", sa.Text, nullable=False),
)

_is_open = sa.text("state IN ('queued', 'in_progress')")

# The state is in it so that counting reads the index alone.
sa.Index("jobs_open", jobs.c.id, jobs.c.state, sqlite_where=_is_open, postgresql_where=_is_open)
sa.Index("jobs_native", jobs.c.account, jobs.c.native_id, jobs.c.created_at_us, jobs.c.id)
sa.Index("jobs_listed", jobs.c.account, jobs.c.created_at_us, jobs.c.id)
sa.Index("jobs_open_of", jobs.c.account, jobs.c.state, sqlite_where=_is_open, postgresql_where=_is_open)
sa.Index("jobs_spent", jobs.c.account, jobs.c.finished_at_us, jobs.c.price_usd_nanos)
sa.Index("jobs_finished", jobs.c.finished_at_us, jobs.c.id)

#: The history of each job, numbered from 1 without gaps.
job_events = sa.Table(
    "job_events",
    metadata,
    sa.Column("job_id", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("doc", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

#: Which idempotency key made which job. Removed with the job, or when it is old.
idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("route", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("job_id", sa.Text, nullable=False),
    sa.Column("created_at_us", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
sa.Index("idempotency_keys_of", idempotency_keys.c.job_id)
sa.Index("idempotency_keys_old", idempotency_keys.c.created_at_us)

#: The outbox: one row per message to a webhook. It is to be sent while it has a time for its next try.
webhook_deliveries = sa.Table(
    "webhook_deliveries",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("job_id", sa.Text, nullable=False),
    sa.Column("account", sa.Text, nullable=False),
    # Scheme, host and port of the address.
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("next_try_at_us", sa.BigInteger),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("doc", sa.Text, nullable=False),
)
_is_pending = sa.text("next_try_at_us IS NOT NULL")
sa.Index("webhook_deliveries_of", webhook_deliveries.c.job_id, webhook_deliveries.c.id)
# Account and origin are in them so that messages that cannot be sent yet are passed over in the index.
sa.Index(
    "webhook_deliveries_due",
    webhook_deliveries.c.next_try_at_us,
    *(webhook_deliveries.c.id, webhook_deliveries.c.account, webhook_deliveries.c.origin),
    sqlite_where=_is_pending,
    postgresql_where=_is_pending,
)
sa.Index(
    "webhook_deliveries_due_of",
    *(webhook_deliveries.c.account, webhook_deliveries.c.next_try_at_us),
    *(webhook_deliveries.c.id, webhook_deliveries.c.origin),
    sqlite_where=_is_pending,
    postgresql_where=_is_pending,
)

#: Addresses that said "never again" (410), until somebody tries them anew.
disabled_webhooks = sa.Table(
    "disabled_webhooks",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("url", sa.Text, primary_key=True),
    sa.Column("disabled_at_us", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

#: One row that is written anew to find out whether the store can be written.
store_check = sa.Table(
    "store_check",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("padding", sa.LargeBinary, nullable=False),
)
