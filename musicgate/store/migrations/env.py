"""What Alembic runs for every command; it knows only the connection that `musicgate.store.migrate` hands in."""

from alembic import context

from musicgate.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
