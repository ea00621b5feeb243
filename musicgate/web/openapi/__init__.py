"""The OpenAPI document of the server, made from its routes, and Swagger UI to read it.

It knows the shapes that HTTP shows, and must not know jobs, vendors or what a handler does. Open
`operations` first, where each route is described; a route that is not makes a test fail.
"""

from musicgate.web.openapi.document import describe
from musicgate.web.openapi.routes import OpenApiRoutes

__all__ = ["OpenApiRoutes", "describe"]
