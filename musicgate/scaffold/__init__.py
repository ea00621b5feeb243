"""Drafts of new plugin distributions: checks a name, and renders the templates beside this file; it loads no plugin."""

from musicgate.scaffold.names import (
    Names,
    objection,
)
from musicgate.scaffold.project import (
    Kind,
    render,
    write,
)

__all__ = [
    "Kind",
    "Names",
    "objection",
    "render",
    "write",
]
