"""Read rows of stored documents: a damaged one is left out, and a page is bounded in bytes.

The stores share it, so that all of them treat damage alike.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from musicgate.codec import doc_bytes
from musicgate.errors import StorageError

_T = TypeVar("_T")
#: A key, the document, and any further columns.
Row = tuple[Any, ...]
_log = logging.getLogger(__name__)


def readable(rows: Iterable[Row], load: Callable[[str], _T], what: str) -> Iterator[_T]:
    """Load the documents of rows. One that cannot be read is logged and left out.

    Args:
        what: the kind of row, for messages: "job".
    """
    return (value for _, value in readable_pairs(rows, load, what))


def readable_pairs(rows: Iterable[Row], load: Callable[[str], _T], what: str) -> Iterator[tuple[Any, _T]]:
    """Load the documents of rows, with their keys. One that cannot be read is logged and left out."""
    for key, doc, *_ in rows:
        try:
            yield key, load(doc)
        except StorageError as error:
            _log.error("%s left out: id=%s reason=%s", what, key, error)


def loaded(key: object, doc: str, load: Callable[[str], _T], what: str) -> _T:
    """Load the document of one row.

    Raises:
        StorageError: the document cannot be read; the message names the row.
    """
    try:
        return load(doc)
    except StorageError as exc:
        message = f"the {what} {key}: {exc}"
        raise StorageError(message) from exc


def up_to(rows: Iterable[Row], max_bytes: int | None) -> Iterator[Row]:
    """Cut a page of rows so that their documents have at most so many bytes together.

    The first row always passes. None for ``max_bytes`` means no limit.
    """
    total = 0
    for row in rows:
        size = doc_bytes(row[1])
        total += size
        if max_bytes is not None and max_bytes < total != size:
            return
        yield row
