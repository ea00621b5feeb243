"""Marks of AI origin in audio files: C2PA manifests are reported and made, tags are written.

It knows where formats keep such marks, and must not know jobs, vendors or settings. Start with `tags` (write
tags) and `c2pa` (report and sign); `presence` says whether a file has a manifest without any library.
"""

from musicgate.assets.marks.c2pa import (
    ManifestReport,
    SigningKey,
    Validity,
    can_check_manifests,
    check_signing,
    read_manifest,
    sign,
)
from musicgate.assets.marks.conversion import ManifestFate, manifest_fate
from musicgate.assets.marks.origin import MAX_MARK_CHARS, Tags
from musicgate.assets.marks.presence import SIGNABLE, FoundManifest, find_manifest
from musicgate.assets.marks.tags import write_tags

__all__ = [
    "MAX_MARK_CHARS",
    "SIGNABLE",
    "FoundManifest",
    "ManifestFate",
    "ManifestReport",
    "SigningKey",
    "Tags",
    "Validity",
    "can_check_manifests",
    "check_signing",
    "find_manifest",
    "manifest_fate",
    "read_manifest",
    "sign",
    "write_tags",
]
