"""Audio that we keep: what it is, by decoding it, other containers of it, its marks, and where it is.

It knows audio and where files are, and must not know jobs, vendors or links. Start with `port` (what a store
of objects does), then `folder` and `objects` (a local folder, and clouds), `measure` (what a file is),
`convert` (to another container), `decoding` (how FFmpeg is kept within bounds) and `marks` (of AI origin).

The names are listed in ``__init__.pyi``; each is loaded when it is first used: plugins import this room for
`sniff` and `riff_wav` alone.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
