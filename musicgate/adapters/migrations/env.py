"""What Alembic runs for every command; it knows only the connection that `musicgate.adapters.migrate` hands in."""

from alembic import context

from musicgate.adapters.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
