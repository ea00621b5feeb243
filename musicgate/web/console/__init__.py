"""The console at ``/console``: a page that makes, follows, plays and compares songs by the HTTP API.

It knows how its files are sent, and must not know jobs or vendors: the page asks the same routes as any other
client, with the key of its user. Open `static/app.js` first. ``vendored.json`` says which files of others it
has; ``make vendored`` fetches them anew and compares them.
"""

from musicgate.web.console.routes import FILES, ConsoleRoutes

__all__ = ["FILES", "ConsoleRoutes"]
