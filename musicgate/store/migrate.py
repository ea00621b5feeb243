"""Brings a database to the newest tables; it knows Alembic, which is imported only when there is something to do."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

from musicgate.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy import Connection

_logger = logging.getLogger(__name__)

#: Revision of the newest migration. A database that says so is ready without a look at any migration.
HEAD: Final = "0002"

_MIGRATIONS: Final = Path(__file__).with_name("migrations")


def upgrade(connection: "Connection", found: str | None, name: str) -> None:
    """Run the missing migrations inside the connection's open transaction.

    Args:
        connection: of SQLAlchemy, in a transaction that the caller commits: either all migrations happen or none.
        found: revision that the database is at, or None for a new one.
        name: what the database is called in messages.

    Raises:
        ConfigError: the database was written by a newer musicgate.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = Config(attributes={"connection": connection})
    # A percent sign starts an interpolation in Alembic's configuration.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    if found is not None:
        try:
            ScriptDirectory.from_config(config).get_revision(found)
        except CommandError as exc:
            message = f"the database {name} is at revision {found!r}, which this version of musicgate does not know: use a newer one"
            raise ConfigError(message, key="store.url") from exc
    _logger.info("bringing the database %s from revision %s to %s", name, found or "none", HEAD)
    command.upgrade(config, "head")
