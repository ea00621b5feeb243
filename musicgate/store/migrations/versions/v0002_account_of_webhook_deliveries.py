"""The account of each message to a webhook, so that due messages can be shared out between accounts."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_IS_PENDING = sa.text("next_try_at_us IS NOT NULL")
_KEPT = "id, job_id, origin, next_try_at_us, version, doc"


def upgrade() -> None:
    """Make the table anew: a column that is added later would need a default, and no message is without an account."""
    _set_aside()
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("next_try_at_us", sa.BigInteger),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("doc", sa.Text, nullable=False),
    )
    # A message goes with its job, so each has one.
    op.execute(
        f"INSERT INTO webhook_deliveries (account, {_KEPT})"  # noqa: S608 - constants
        " SELECT (SELECT account FROM jobs WHERE jobs.id = earlier.job_id),"
        f" {_KEPT} FROM webhook_deliveries_earlier AS earlier"
        " WHERE EXISTS (SELECT 1 FROM jobs WHERE jobs.id = earlier.job_id)"
    )
    op.drop_table("webhook_deliveries_earlier")
    op.create_index("webhook_deliveries_of", "webhook_deliveries", ["job_id", "id"])
    _create_pending_index("webhook_deliveries_due", ["next_try_at_us", "id", "account", "origin"])
    _create_pending_index("webhook_deliveries_due_of", ["account", "next_try_at_us", "id", "origin"])


def downgrade() -> None:
    """Forget the accounts."""
    _set_aside()
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("next_try_at_us", sa.BigInteger),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("doc", sa.Text, nullable=False),
    )
    op.execute(f"INSERT INTO webhook_deliveries ({_KEPT}) SELECT {_KEPT} FROM webhook_deliveries_earlier")  # noqa: S608
    op.drop_table("webhook_deliveries_earlier")
    op.create_index("webhook_deliveries_of", "webhook_deliveries", ["job_id", "id"])
    _create_pending_index("webhook_deliveries_due", ["next_try_at_us", "id", "origin"])


def _set_aside() -> None:
    for name in ("webhook_deliveries_of", "webhook_deliveries_due", "webhook_deliveries_due_of"):
        op.drop_index(name, "webhook_deliveries", if_exists=True)
    op.rename_table("webhook_deliveries", "webhook_deliveries_earlier")


def _create_pending_index(name: str, columns: list[str]) -> None:
    op.create_index(
        name, "webhook_deliveries", columns, sqlite_where=_IS_PENDING, postgresql_where=_IS_PENDING
    )
