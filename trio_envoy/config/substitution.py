"""envoy.config.core.v3.SubstitutionFormatString: a template for a log line or a body.

Source: envoy/config/core/v3/substitution_format_string.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs

from trio_envoy.config.core import DataSource


@attrs.frozen(kw_only=True)
class SubstitutionFormatString:
    """A template (oneof format, required).

    Attributes:
        text_format: deprecated text template.
        json_format: a template for each value of a JSON object.
        text_format_source: a text template from a file, the environment or inline.
        omit_empty_values: nothing instead of `-`, and no JSON key, for a value that isn't there.
        content_type: of a local reply's body.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.SubstitutionFormatString"

    text_format: str | None = None
    json_format: Mapping[str, Any] | None = None
    text_format_source: DataSource | None = None
    omit_empty_values: bool = False
    content_type: str = ""
