"""Resources: kept audio and published schemas, by URIs of our own."""

from __future__ import annotations

import re
from typing import Any, Final

import attrs

import musicgate_schemas
from musicgate.mcp.schemas import schema_uri
from musicgate.mcp.tools import FORMATS

#: Audio beyond this size is not read into one message.
MAX_BYTES: Final = 32_000_000
_AUDIO: Final = re.compile(
    r"musicgate://audio/([A-Za-z0-9_-]{1,512})/([0-9]{1,3})(?:\.([a-z0-9]{1,8}))?", re.ASCII
)
_SCHEMA: Final = re.compile(r"musicgate://schemas/([a-z_/]{1,80})", re.ASCII)


@attrs.frozen(kw_only=True)
class AudioResource:
    """A track's audio, in a format or as it was asked for."""

    job_id: str
    index: int
    wanted: str | None


def audio_uri(job_id: str, index: int, wanted: str | None) -> str:
    """The resource of a track's audio."""
    return f"musicgate://audio/{job_id}/{index}" + ("" if wanted is None else f".{wanted}")


def read_audio_uri(uri: str) -> AudioResource | None:
    """Read the URI of a track's audio; None for any other."""
    found = _AUDIO.fullmatch(uri)
    if found is None or (found[3] is not None and found[3] not in FORMATS):
        return None
    return AudioResource(job_id=found[1], index=int(found[2]), wanted=found[3])


def read_schema_uri(uri: str) -> dict[str, Any] | None:
    """Read a published schema by its URI; None if there is none."""
    found = _SCHEMA.fullmatch(uri)
    if found is None or found[1] not in musicgate_schemas.NAMES:
        return None
    return musicgate_schemas.load(found[1])


def listed() -> list[dict[str, Any]]:
    """The resources that do not depend on an account: the schemas."""
    return [
        {
            "uri": schema_uri(name),
            "name": name,
            "title": f"JSON Schema: {name}",
            "mimeType": "application/schema+json",
        }
        for name in musicgate_schemas.NAMES
    ]


def templates() -> list[dict[str, Any]]:
    """The resources of an account."""
    return [
        {
            "uriTemplate": "musicgate://audio/{job_id}/{index}",
            "name": "audio",
            "title": "Audio of a track",
            "description": "The kept audio of a completed job, as it was asked for.",
        },
        {
            "uriTemplate": "musicgate://audio/{job_id}/{index}.{format}",
            "name": "audio in a format",
            "title": "Audio of a track in a format",
            "description": f"The same, converted once: {', '.join(FORMATS)}.",
        },
    ]
