"""JSON in and out: schema first, values second. The only importer of jsonschema, and beside `settings` of cattrs.

It knows the shape of JSON and of values, and must not know what a job does. Start with `schema`, then `converter`.
"""

from musicgate.codec.converter import (
    dump_delivery,
    dump_event,
    dump_job,
    load_delivery,
    load_event,
    load_job,
    read_request,
)
from musicgate.codec.request_bounds import (
    known_part,
)
from musicgate.codec.schema import (
    SchemaValidator,
    bundle,
    compose_request_schema,
    option_blocks,
)

__all__ = [
    "SchemaValidator",
    "bundle",
    "compose_request_schema",
    "dump_delivery",
    "dump_event",
    "dump_job",
    "known_part",
    "load_delivery",
    "load_event",
    "load_job",
    "option_blocks",
    "read_request",
]
