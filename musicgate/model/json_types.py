"""The JSON value type that crosses every border; it knows no schema and no vendor."""

from __future__ import annotations

from collections.abc import Mapping

#: Any JSON value. It is ``object`` on purpose: whoever reads one has to look at what it is before using it.
JsonValue = object
JsonObject = Mapping[str, JsonValue]
