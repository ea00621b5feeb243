"""What an agent reads about the tools: names, descriptions, schemas. No behaviour; that is in `calls`."""

from __future__ import annotations

import functools
from typing import Any, Final

import attrs

from musicgate.mcp.schemas import outline, portable, request_schema

#: Longest time that one call waits: clients begin to give up at about a minute.
MAX_WAIT_S: Final = 60
_USUAL_WAIT_S: Final = 50
MAX_JOBS: Final = 50
_USUAL_JOBS: Final = 10
#: Audio up to this size is part of an answer; it is a third larger there, as text.
MAX_EMBEDDED_BYTES: Final = 1_000_000
FORMATS: Final = ("mp3", "wav", "ogg", "aac", "flac", "original")

INSTRUCTIONS: Final = """\
musicgate makes songs with many vendors' models behind one API. A song costs money and takes from some seconds to \
some minutes. The usual way: list_music_models to choose a model, plan_music to see who would make the song and what \
it costs (free), make_music once with a new idempotency_key, wait_for_music until it is completed, fetch_music to get \
the audio. A job goes on when you stop waiting or disconnect: list_music finds it again. Never repeat make_music with \
another idempotency_key because an answer was lost; repeat it with the same one."""

_JOB_ID: Final = {
    "description": "The id of the job, as make_music and list_music return it: music_...",
    "type": "string",
    "minLength": 1,
    "maxLength": 512,
}


@attrs.frozen(kw_only=True)
class Tool:
    """One tool.

    Attributes:
        own: schema of the arguments that are the tool's own: all of them, or those beside the music request.
        takes_request: its other arguments are a music request.
        is_read_only, is_destructive, is_idempotent: hints for clients that ask their user before a call.
    """

    name: str
    title: str
    description: str
    own: dict[str, Any]
    takes_request: bool = False
    output: dict[str, Any]
    is_read_only: bool = True
    is_destructive: bool = False
    is_idempotent: bool = True

    def render(self) -> dict[str, Any]:
        """Render the tool as ``tools/list`` shows it."""
        own = self.own
        schema = (
            request_schema(own["properties"], tuple(own.get("required", ()))) if self.takes_request else own
        )
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": portable(schema),
            "outputSchema": portable(self.output),
            "annotations": {
                "title": self.title,
                "readOnlyHint": self.is_read_only,
                "destructiveHint": self.is_destructive,
                "idempotentHint": self.is_idempotent,
                "openWorldHint": True,
            },
        }


def _arguments(required: tuple[str, ...] = (), **properties: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": list(required)} if required else schema


@functools.cache
def tools() -> dict[str, Tool]:
    """All tools by name, in the order in which an agent needs them."""
    job = outline("job")
    made = (
        Tool(
            name="list_music_models",
            title="List music models",
            description="List the models that can make music now, with the providers that offer each, what they charge, "
            "which formats and abilities they have, and how long a song may be. With `model`, everything about that "
            "one: limits, options of the vendor, rights. Free.",
            own=_arguments(
                model={"description": "Id of one model, such as suno/v4.5plus.", "type": "string"},
                provider={"description": "Only what this provider or plugin offers.", "type": "string"},
                include_unconfigured={
                    "description": "Also offers whose provider has no key here, so that they cannot be asked now; "
                    "false when left out.",
                    "type": "boolean",
                },
            ),
            output=outline(
                "model_list",
                {
                    "left_out": {
                        "description": "Models without a configured provider that are not shown.",
                        "type": "integer",
                    }
                },
            ),
        ),
        Tool(
            name="plan_music",
            title="Plan a song",
            description="Show who would make a song and in which order, what it would cost, and which options would "
            "not be applied, without making it. Free; call it before make_music. `candidates[].price` is null where "
            "the price depends on the length: give `duration`.",
            own=_arguments(),
            takes_request=True,
            output=outline("plan"),
        ),
        Tool(
            name="make_music",
            title="Make a song",
            description="Make a song. Costs money; plan_music says how much. Returns at once with a job that goes on "
            "by itself (a task, for clients with the tasks extension); then call wait_for_music. Lyrics go into "
            "`lyrics`, genre and mood into `style`; `prompt` alone is enough for most models.",
            own=_arguments(
                ("idempotency_key", "max_price_usd"),
                idempotency_key={
                    "description": "Any text that is new for each song, such as a UUID. A call that is repeated with "
                    "the same key and request returns the same job and makes no second song.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 255,
                    "pattern": "^[ -~]+$",
                },
                max_price_usd={
                    "description": "The song is refused, at no cost, if one of the providers that may make it charges "
                    "more than so many US dollars, or if that is not known beforehand. null: any price.",
                    "type": ["number", "null"],
                    "minimum": 0,
                },
            ),
            takes_request=True,
            output=outline(
                "job",
                {
                    "is_replay": {
                        "description": "The job is that of an earlier call with this idempotency_key.",
                        "type": "boolean",
                    },
                    "expected_price_usd": {
                        "description": "What the song will cost; null where it depends on its length.",
                        "type": ["string", "null"],
                    },
                },
            ),
            is_read_only=False,
        ),
        Tool(
            name="wait_for_music",
            title="Wait for a song",
            description="Wait until a job is completed or failed, at most `timeout_seconds`, and return it as it is "
            "then, with links to the audio. Call it again while `status` is queued or in_progress; "
            "with a timeout of 0 it returns the job at once.",
            own=_arguments(
                ("job_id",),
                job_id=_JOB_ID,
                timeout_seconds={
                    "description": f"How long to wait; {_USUAL_WAIT_S} when left out.",
                    "type": "number",
                    "minimum": 0,
                    "maximum": MAX_WAIT_S,
                    "default": _USUAL_WAIT_S,
                },
            ),
            output=job,
        ),
        Tool(
            name="list_music",
            title="List jobs",
            description="List the account's jobs, newest first, of all its clients: also those whose answer "
            "was lost.",
            own=_arguments(
                states={
                    "description": "Only jobs in these states.",
                    "type": "array",
                    "items": {"enum": ["queued", "in_progress", "completed", "failed"]},
                },
                model={
                    "description": "Only jobs for this model, spelled as in the request.",
                    "type": "string",
                },
                limit={
                    "description": f"How many; {_USUAL_JOBS} when left out.",
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MAX_JOBS,
                    "default": _USUAL_JOBS,
                },
                cursor={"description": "`next_cursor` of the previous page.", "type": "string"},
            ),
            output=outline("job_list"),
        ),
        Tool(
            name="cancel_music",
            title="Cancel a song",
            description="Stop a job that is not finished, at the vendor as well where the vendor supports it. "
            "`error.may_have_cost` of the job says whether it may be billed nevertheless.",
            own=_arguments(("job_id",), job_id=_JOB_ID),
            output=job,
            is_read_only=False,
            is_destructive=True,
        ),
        Tool(
            name="fetch_music",
            title="Get the audio",
            description="Get the audio of a completed job: a link to it, and the audio itself where it has at most "
            f"{MAX_EMBEDDED_BYTES:,} bytes. Another `format` is converted to once. Some providers make two tracks "
            "for one song: `index` 0 and 1.",
            own=_arguments(
                ("job_id",),
                job_id=_JOB_ID,
                index={
                    "description": "Number of the track; 0 when left out.",
                    "type": "integer",
                    "minimum": 0,
                    "maximum": 999,
                },
                format={
                    "description": "Format of the audio; as it was asked for when left out.",
                    "type": "string",
                    "enum": list(FORMATS),
                },
                embed={
                    "description": "false: the link only, also for small audio.",
                    "type": "boolean",
                },
            ),
            output={
                "type": "object",
                "required": ["job_id", "index", "content_type"],
                "properties": {
                    "job_id": {"type": "string"},
                    "index": {"type": "integer"},
                    "content_type": {"type": "string"},
                    "size_bytes": {"type": ["integer", "null"]},
                    "url": {
                        "description": "Where the audio is: a link that needs no key, or a file on this machine. "
                        "null: read the resource.",
                        "type": ["string", "null"],
                    },
                    "is_embedded": {"description": "The audio is part of this answer.", "type": "boolean"},
                },
                "additionalProperties": True,
            },
        ),
    )
    return {tool.name: tool for tool in made}


def usual(name: str, argument: str) -> Any:
    """The value of an argument that is left out."""
    return tools()[name].own["properties"][argument]["default"]
