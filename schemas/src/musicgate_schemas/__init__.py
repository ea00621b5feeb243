"""The JSON Schemas of musicgate as data; no validation, and nothing of the gateway."""

import json
from importlib.resources import files
from typing import Any, Final, cast

__all__ = ["NAMES", "by_id", "load"]

#: Name of every published schema; "options/suno" is the file "v1/options/suno.json".
NAMES: Final[tuple[str, ...]] = (
    "request",
    "job",
    "error",
    "plan",
    "job_list",
    "event",
    "model_list",
    "provider_list",
    "webhook",
    "webhook_delivery_list",
    "webhook_test",
    "options/suno",
    "options/elevenlabs",
    "options/minimax",
    "case",
)

#: Published version of the schemas: the folder of the files, and a part of every ``$id``.
_VERSION: Final = "v1"


def load(name: str) -> dict[str, Any]:
    """Read one schema; every call returns a fresh copy.

    Args:
        name: One of `NAMES`, such as ``"request"`` or ``"options/suno"``.

    Raises:
        KeyError: There is no schema of this name.
    """
    if name not in NAMES:
        raise KeyError(f"no schema named {name!r}; there are {', '.join(NAMES)}")
    text = files(__name__).joinpath(_VERSION, *f"{name}.json".split("/")).read_text(encoding="utf-8")
    return cast("dict[str, Any]", json.loads(text))


def by_id() -> dict[str, dict[str, Any]]:
    """Read all schemas by ``$id``, so that a validator resolves every ``$ref`` offline."""
    schemas = (load(name) for name in NAMES)
    return {str(schema["$id"]): schema for schema in schemas}
