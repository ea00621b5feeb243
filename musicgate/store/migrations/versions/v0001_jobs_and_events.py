"""Jobs, their events, idempotency keys, messages to webhooks, and the row that shows whether the store can be written."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_IS_OPEN = sa.text("state IN ('queued', 'in_progress')")
_IS_PENDING = sa.text("next_try_at_us IS NOT NULL")


def upgrade() -> None:
    """Create the first tables."""
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("plugin", sa.Text),
        sa.Column("native_id", sa.Text),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("created_at_us", sa.BigInteger, nullable=False),
        sa.Column("updated_at_us", sa.BigInteger, nullable=False),
        sa.Column("finished_at_us", sa.BigInteger),
        sa.Column("price_usd_nanos", sa.BigInteger),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("doc", sa.Text, nullable=False),
    )
    op.create_index("jobs_open", "jobs", ["id", "state"], sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN)
    op.create_index("jobs_native", "jobs", ["account", "native_id", "created_at_us", "id"])
    op.create_index("jobs_listed", "jobs", ["account", "created_at_us", "id"])
    op.create_index(
        "jobs_open_of", "jobs", ["account", "state"], sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN
    )
    op.create_index("jobs_spent", "jobs", ["account", "finished_at_us", "price_usd_nanos"])
    op.create_index("jobs_finished", "jobs", ["finished_at_us", "id"])
    op.create_table(
        "job_events",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("doc", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("route", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("created_at_us", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("idempotency_keys_of", "idempotency_keys", ["job_id"])
    op.create_index("idempotency_keys_old", "idempotency_keys", ["created_at_us"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("next_try_at_us", sa.BigInteger),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("doc", sa.Text, nullable=False),
    )
    op.create_index("webhook_deliveries_of", "webhook_deliveries", ["job_id", "id"])
    op.create_index(
        "webhook_deliveries_due",
        "webhook_deliveries",
        ["next_try_at_us", "id", "origin"],
        sqlite_where=_IS_PENDING,
        postgresql_where=_IS_PENDING,
    )
    op.create_table(
        "disabled_webhooks",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("url", sa.Text, primary_key=True),
        sa.Column("disabled_at_us", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "store_check",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("padding", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Drop them again, with all jobs."""
    op.drop_table("store_check")
    op.drop_table("disabled_webhooks")
    op.drop_table("webhook_deliveries")
    op.drop_table("idempotency_keys")
    op.drop_table("job_events")
    op.drop_table("jobs")
