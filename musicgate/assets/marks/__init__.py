"""Marks of AI origin in audio files: C2PA manifests are reported and made, tags are written.

It knows where formats keep such marks, and must not know jobs, vendors or settings. Start with `tags` (write
tags) and `c2pa` (report and sign); `presence` says whether a file has a manifest without any library.

The names are listed in ``__init__.pyi``; each is loaded when it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
