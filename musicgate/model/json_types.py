"""The JSON value type that crosses every border; it knows no schema and no vendor."""

from __future__ import annotations

from collections.abc import Mapping

#: Any JSON value. ``object`` on purpose: its reader has to check the type before using it.
JsonValue = object
JsonObject = Mapping[str, JsonValue]
