"""The use cases: submit, follow, settle; and `Gateway`, the one face that the server, the command line and applications use."""

from musicgate.gateway.facade import Gateway

__all__ = ["Gateway"]
