"""The HTTP server: an aiohttp application around `musicgate.gateway.Gateway`.

It knows routes, keys, headers and connections, and must not know music, money, plugins or SQL. Start with
`app`, then `music`.
"""

from musicgate.web.local_music import LocalMusic
from musicgate.web.open_files import raise_open_file_limit
from musicgate.web.serve import serve

__all__ = ["LocalMusic", "raise_open_file_limit", "serve"]
