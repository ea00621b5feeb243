"""The public API for applications: `Gateway`, `generate`, and every class that their signatures name.

The names are listed once, with their homes, in ``__init__.pyi``; each is loaded when it is first used, so
that ``import musicgate`` costs nothing that is not needed. The author of a plugin imports `musicgate.plugin`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
