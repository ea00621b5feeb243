"""Music as tools of the Model Context Protocol, where a job is a task.

The room knows tools, tasks and resources, and the JSON of the HTTP API, which it gets through the port
`MusicApi`. It must not know a gateway, a store or a vendor: `musicgate.web` implements the port in a process
that has a gateway, `remote` for a server somewhere else. Start with `tools` for what an agent reads, `calls`
for what the tools do. `sdk` is the only importer of the official SDK, which is an extra (``musicgate[mcp]``)
and takes half a second to import: `load_sdk` does that when it is needed.
"""

from musicgate.mcp.api import ApiError, Audio, Created, MusicApi
from musicgate.mcp.loading import API_IN_SCOPE, HttpEndpoint, Sdk, load_sdk
from musicgate.mcp.remote import RemoteMusic
from musicgate.mcp.saving import file_name, unwritable, write_pieces

__all__ = [
    "API_IN_SCOPE",
    "ApiError",
    "Audio",
    "Created",
    "HttpEndpoint",
    "MusicApi",
    "RemoteMusic",
    "Sdk",
    "file_name",
    "load_sdk",
    "unwritable",
    "write_pieces",
]
