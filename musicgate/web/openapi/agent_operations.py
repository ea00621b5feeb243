"""What is said of the routes for agents and for clients of other APIs; `operations` has the others."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from musicgate.web.openapi.operation import (
    BYTES,
    JSON,
    OF_A_BODY,
    OF_A_CREATE,
    VALIDATORS,
    Access,
    Answer,
    Operation,
    text_answer,
)

_SONG: Final = MappingProxyType(
    {"model": "suno/v4.5plus", "prompt": "Warm jazz trio with brushed drums", "format": "mp3"}
)
#: What is said of the job beside its audio.
_OF_THE_JOB: Final = (
    *("X-Gateway-Music-Id", "X-Gateway-Cost-Usd", "X-Gateway-Tracks", "X-Gateway-Warnings"),
    *("Idempotency-Replayed", "Preference-Applied", "RateLimit", "RateLimit-Policy"),
)


def _create_with_audio(
    name: str, summary: str, text: str, body: str, example: Mapping[str, Any]
) -> Operation:
    """A create call that is answered with audio."""
    return Operation(
        id=name,
        tag="Agents",
        summary=summary,
        text=f"{text} Without `Prefer` it waits for 60 seconds. `Accept` chooses the format where the body does not.",
        parameters=("Idempotency-Key", "Prefer", "x-gateway-debug", "Content-Encoding"),
        body=body,
        example=example,
        answers={
            200: Answer(
                text="The audio of the first track.",
                content={"audio/*": BYTES},
                headers=("Content-Disposition", "Last-Modified", *VALIDATORS, *_OF_THE_JOB),
            ),
            202: Answer(
                text="The job, which is not finished yet.",
                content={JSON: "MusicJob"},
                headers=(*VALIDATORS, "Retry-After", *_OF_THE_JOB),
            ),
            303: Answer(text="It is at the vendor.", headers=("Location", "Cache-Control", *_OF_THE_JOB)),
        },
        errors=(*OF_A_BODY, *OF_A_CREATE, 406),
    )


def _message(text: str) -> Answer:
    """An answer of the Model Context Protocol that is an error, or the server's own."""
    return Answer(
        text=text,
        content={
            JSON: {
                "anyOf": [
                    {"$ref": "#/components/schemas/JsonRpcMessage"},
                    {"$ref": "#/components/schemas/ErrorAnswer"},
                ]
            }
        },
        headers=("Cache-Control",),
    )


AGENT_OPERATIONS: Final[Mapping[tuple[str, str], Operation]] = {
    ("POST", "/v1/audio/music"): _create_with_audio(
        "makeAudio",
        "Create a job, and answer with its audio",
        "The same as generateMusic, but for the answer.",
        "MusicRequest",
        _SONG,
    ),
    ("POST", "/v1/audio/speech"): _create_with_audio(
        "makeSpeech",
        "The same with the names of a speech request",
        "For clients of speech APIs: `input` is the prompt, `response_format` the format.",
        "SpeechRequest",
        {"model": "suno/v4.5plus", "input": "Warm jazz trio with brushed drums", "voice": "none"},
    ),
    ("POST", "/mcp"): Operation(
        id="postMcpMessage",
        tag="Agents",
        summary="The Model Context Protocol: music as tools for agents",
        text="Streamable HTTP without sessions, revision 2026-07-28 with the extension for tasks, and earlier ones.",
        parameters=("MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "Content-Encoding"),
        body="JsonRpcMessage",
        answers={
            200: Answer(
                text="The response, or a stream of events that ends with it.",
                # Tools differ in what the schema of an event stream is about: the event, or its data.
                content={
                    JSON: "JsonRpcMessage",
                    "text/event-stream": {"description": "Events; data is a message."},
                },
                headers=("Cache-Control",),
            ),
            202: Answer(text="A notification was received.", headers=("Cache-Control",)),
            400: _message("The message is not valid."),
            403: _message("The page that the request comes from is not of this machine."),
            404: _message("The method is not known."),
            406: _message("`Accept` must name application/json and text/event-stream."),
            500: _message("The gateway failed."),
        },
        errors=OF_A_BODY,
    ),
    ("GET", "/llms.txt"): Operation(
        id="getLlmsText",
        tag="Description",
        summary="What this server is, for language models",
        access=Access.PUBLIC,
        answers={200: text_answer("Markdown.", "text/plain")},
    ),
}
