"""JSON in and out: outside JSON is checked by its schema first, and becomes values second.

It knows the shapes of JSON and of values, and must not know what a job does. It is the only importer of
jsonschema, and, beside `settings`, of cattrs. Start with `schema` (what a request may hold), then `request`
(body to `MusicRequest`) and `stored` (values to the documents of a store and back); both use the strict
`converter`.
"""

from musicgate.codec.request import read_request, write_request
from musicgate.codec.request_bounds import known_part
from musicgate.codec.schema import (
    SchemaValidator,
    bundle,
    compose_request_schema,
    option_blocks,
)
from musicgate.codec.stored import (
    doc_bytes,
    dump_delivery,
    dump_event,
    dump_events,
    dump_job,
    load_delivery,
    load_event,
    load_job,
)

__all__ = [
    "SchemaValidator",
    "bundle",
    "compose_request_schema",
    "doc_bytes",
    "dump_delivery",
    "dump_event",
    "dump_events",
    "dump_job",
    "known_part",
    "load_delivery",
    "load_event",
    "load_job",
    "option_blocks",
    "read_request",
    "write_request",
]
