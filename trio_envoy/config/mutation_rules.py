"""envoy.config.common.mutation_rules.v3: one change of the headers of a message.

Source: envoy/config/common/mutation_rules/v3/mutation_rules.proto.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from trio_envoy.config.core import HeaderValueOption
from trio_envoy.config.matcher import StringMatcher


@attrs.frozen(kw_only=True)
class RemoveOnMatch:
    """Headers to remove.

    Attributes:
        key_matcher: of their names; required.
    """

    __proto__: ClassVar[str] = "envoy.config.common.mutation_rules.v3.HeaderMutation.RemoveOnMatch"

    key_matcher: StringMatcher


@attrs.frozen(kw_only=True)
class HeaderMutation:
    """One change (oneof action, required).

    Attributes:
        remove: a header.
        append: a header to add.
        remove_on_match: headers whose names fit.
    """

    __proto__: ClassVar[str] = "envoy.config.common.mutation_rules.v3.HeaderMutation"

    remove: str | None = None
    append: HeaderValueOption | None = None
    remove_on_match: RemoveOnMatch | None = None
