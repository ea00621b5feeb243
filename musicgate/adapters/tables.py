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
    # Microseconds since 1970, so that every database orders them alike and none rounds them.
    sa.Column("created_at_us", sa.BigInteger, nullable=False),
    sa.Column("updated_at_us", sa.BigInteger, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("doc", sa.Text, nullable=False),
)

_is_open = sa.text("state IN ('queued', 'in_progress')")

# The state is in it so that counting reads the index alone.
sa.Index("jobs_open", jobs.c.id, jobs.c.state, sqlite_where=_is_open, postgresql_where=_is_open)
sa.Index("jobs_native", jobs.c.account, jobs.c.native_id, jobs.c.created_at_us, jobs.c.id)

#: The history of each job, numbered from 1 without gaps.
job_events = sa.Table(
    "job_events",
    metadata,
    sa.Column("job_id", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("doc", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

#: One row that is written anew to find out whether the store can be written.
store_check = sa.Table(
    "store_check",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("padding", sa.LargeBinary, nullable=False),
)
