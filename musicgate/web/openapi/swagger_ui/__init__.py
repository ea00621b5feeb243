"""Swagger UI, as its maintainers publish it, and our page around it.

``vendored.json`` says which version it is, under which licence, and what each file hashes to;
``make vendored`` fetches the files anew and compares them.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Final

#: Media type of each file that the page loads.
FILES: Final = {
    "docs.js": "text/javascript",
    "docs.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
}


def read(name: str) -> bytes:
    """Read ``docs.html`` or one of `FILES`."""
    return files(__package__).joinpath(name).read_bytes()
