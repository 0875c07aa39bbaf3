"""request_headers_to_add and its kin: what a route changes in the headers of a message.

Rules, as in Envoy's header_parser.cc:
1. Levels are applied one after the other; a later one sees what an earlier one did.
2. In a level fields are removed first, then all values are rendered, then overwritten, then added.
3. A value that renders to nothing adds nothing, unless keep_empty_value.
"""

from __future__ import annotations

import attrs

from trio_envoy.formatter.context import LogContext
from trio_envoy.http.headers import Headers


@attrs.frozen(eq=False)
class HeaderOps:
    """Compiled changes of all levels of one route."""

    def apply(self, headers: Headers, context: LogContext) -> None:
        """Change the headers: those of context.request, or of context.response."""
