"""What is done to kept files on the workers' threads: measured, converted, marked, drawn.

A failing disk is a `StorageError`. It knows no store, no job and no link.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from typing import TYPE_CHECKING, Final

import attrs

from musicgate.assets import (
    MOST_POINTS,
    PICTURE_SNIFF_BYTES,
    AudioKind,
    Peaks,
    content_type,
    convert_file,
    extension,
    find_peaks,
    measure_and_repair,
    sniff_picture,
)
from musicgate.assets.marks import SIGNABLE, read_manifest, sign, write_tags
from musicgate.errors import StorageError
from musicgate.model import Asset, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader
    from pathlib import Path

    from musicgate.assets.marks import ManifestReport, SigningKey, Tags

#: Shorter texts are the error pages of links.
_LONGEST_PAGE_BYTES: Final = 65_536
_PAGE: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*[<{\[]")


@attrs.frozen(kw_only=True)
class Marks:
    """How finished files are marked as made by AI; nothing is, unless the operator asks for it.

    Attributes:
        tags: write tags into them.
        signing: sign them.
    """

    tags: bool = False
    signing: SigningKey | None = None

    def __bool__(self) -> bool:
        return self.tags or self.signing is not None


def write_peaks(source: Path, target: Path) -> None:
    """Write the finest peaks of audio as JSON."""
    with _on_disk():
        target.write_text(json.dumps(find_peaks(source, MOST_POINTS).to_json(), separators=(",", ":")))


def read_peaks(name: str, content: bytes) -> Peaks:
    """Read what `write_peaks` wrote; ``name`` is for the error."""
    try:
        return Peaks.from_json(json.loads(content))
    except (ValueError, TypeError, KeyError) as exc:
        raise StorageError(f"the peaks {name} are damaged") from exc


def read_picture(path: Path) -> Asset | None:
    """What a picture is kept as, under its first name; None if it is none."""
    with _on_disk(), path.open("rb") as file:
        kind = sniff_picture(file.read(PICTURE_SNIFF_BYTES))
        return None if kind is None else _as_it_is(file, *kind)


def read_rejected(path: Path) -> Asset | None:
    """What bytes that do not play are kept as; None for an empty file and an error page."""
    with _on_disk(), path.open("rb") as file:
        head = file.read(_LONGEST_PAGE_BYTES)
        if not head or (len(head) < _LONGEST_PAGE_BYTES and _PAGE.match(head)):
            return None
        return _as_it_is(file, "bin", "application/octet-stream")


def _as_it_is(file: BufferedReader, kind: str, media_type: str) -> Asset:
    """A file in which nothing was measured."""
    file.seek(0)
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Asset(
        name=_name(sha256, f".{kind}"),
        kind=kind,
        content_type=media_type,
        size_bytes=file.tell(),
        duration_s=0.0,
        sha256=sha256,
    )


def _name(sha256: str, ending: str) -> str:
    return f"{sha256[:2]}/{sha256}{ending}"


def write(path: Path, content: bytes) -> None:
    """Write what is in memory."""
    with _on_disk():
        path.write_bytes(content)


def measure(path: Path) -> Asset:
    """Measure audio, make its header agree with its body, and read its C2PA manifest.

    Returns:
        What it is kept as, under its first name.
    """
    with _on_disk():
        facts, found = measure_and_repair(path), read_manifest(path)
    return Asset(
        name=_name(facts.sha256, extension(facts.kind)),
        kind=facts.kind.value,
        content_type=content_type(facts.kind),
        size_bytes=facts.size_bytes,
        duration_s=facts.duration_s,
        sha256=facts.sha256,
        codec=facts.codec,
        sample_rate_hz=facts.sample_rate_hz,
        channels=facts.channels,
        bit_rate_bps=facts.bit_rate_bps,
        loudness_lufs=facts.loudness_lufs,
        true_peak_dbtp=facts.true_peak_dbtp,
        is_silent=facts.is_silent,
        manifest=None if found is None else _manifest(found),
    )


def _manifest(found: ManifestReport) -> Manifest:
    return Manifest(
        validity=found.validity.value,
        reason=found.reason,
        signer=found.signer,
        issuer=found.issuer,
        claim_generator=found.claim_generator,
        states_ai=found.states_ai,
    )


def mark(path: Path, kind: AudioKind, tags: Tags, marks: Marks, original: Path) -> None:
    """Tag and sign a file in place; ``original`` is what it was made of, perhaps itself."""
    parent = None if original == path else original
    with _on_disk():
        if marks.tags:
            signing = marks.signing if kind in SIGNABLE else None
            write_tags(path, kind, tags, signing=signing, parent=parent)
        elif marks.signing is not None and kind in SIGNABLE:
            sign(path, path, kind, tags, marks.signing, parent=original)


def convert(source: Path, target: Path, kind: AudioKind) -> None:
    """Make a file of another kind from an audio file."""
    with _on_disk():
        convert_file(source, target, kind)


@contextlib.contextmanager
def _on_disk() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise StorageError(f"the folder for new audio failed: {exc.strerror or exc}") from exc
