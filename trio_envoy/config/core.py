"""envoy.config.core.v3: node, headers, data sources and named extensions.

Source: envoy/config/core/v3/{base,extension}.proto.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, ClassVar

import attrs

from trio_envoy.config.types import FractionalPercent


class RoutingPriority(enum.StrEnum):
    """Which set of circuit breakers and pools a request uses.

    Proto: envoy.config.core.v3.RoutingPriority
    """

    DEFAULT = "DEFAULT"
    HIGH = "HIGH"


class RequestMethod(enum.StrEnum):
    """HTTP method of a health check.

    Proto: envoy.config.core.v3.RequestMethod
    """

    METHOD_UNSPECIFIED = "METHOD_UNSPECIFIED"
    GET = "GET"
    HEAD = "HEAD"
    POST = "POST"
    PUT = "PUT"
    DELETE = "DELETE"
    CONNECT = "CONNECT"
    OPTIONS = "OPTIONS"
    TRACE = "TRACE"
    PATCH = "PATCH"


class TrafficDirection(enum.StrEnum):
    """Which way the traffic of a listener goes, seen from the service.

    Proto: envoy.config.core.v3.TrafficDirection
    """

    UNSPECIFIED = "UNSPECIFIED"
    INBOUND = "INBOUND"
    OUTBOUND = "OUTBOUND"


@attrs.frozen(kw_only=True)
class Locality:
    """Where a node or an endpoint is.

    Attributes:
        region: e.g. a cloud region.
        zone: a failure domain in the region.
        sub_zone: a part of the zone.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.Locality"

    region: str = ""
    zone: str = ""
    sub_zone: str = ""


@attrs.frozen(kw_only=True)
class Metadata:
    """What extensions are to know of something, by their names.

    Attributes:
        filter_metadata: anything.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.Metadata"

    filter_metadata: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Node:
    """Who this proxy is; `--service-node`, `--service-cluster` and `--service-zone` win over it.

    Attributes:
        id: name of this instance.
        cluster: name of the group that it belongs to.
        metadata: anything.
        locality: where it runs.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.Node"

    id: str = ""
    cluster: str = ""
    metadata: Mapping[str, Any] | None = None
    locality: Locality | None = None


@attrs.frozen(kw_only=True)
class RuntimeDouble:
    """A number that the runtime may change.

    Attributes:
        default_value: used when the key is not set.
        runtime_key: the key; not empty.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.RuntimeDouble"

    default_value: float = 0.0
    runtime_key: str = ""


@attrs.frozen(kw_only=True)
class RuntimeUInt32:
    """A whole number that the runtime may change.

    Attributes:
        default_value: used when the key is not set.
        runtime_key: the key.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.RuntimeUInt32"

    default_value: int = 0
    runtime_key: str = ""


@attrs.frozen(kw_only=True)
class RuntimeFractionalPercent:
    """A fraction that the runtime may change.

    Attributes:
        default_value: used when the key is not set; required.
        runtime_key: the key; its value is a percentage or a FractionalPercent.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.RuntimeFractionalPercent"

    default_value: FractionalPercent
    runtime_key: str = ""


@attrs.frozen(kw_only=True)
class HeaderValue:
    """A header or a header template.

    Attributes:
        key: field name.
        value: text, with %COMMAND% operators where templates are allowed; at most 16384 bytes.
        raw_value: bytes instead of text (excludes value).
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.HeaderValue"

    key: str = ""
    value: str = ""
    raw_value: bytes = b""


class HeaderAppendAction(enum.StrEnum):
    """What happens when the header is there already.

    Proto: envoy.config.core.v3.HeaderValueOption.HeaderAppendAction
    """

    APPEND_IF_EXISTS_OR_ADD = "APPEND_IF_EXISTS_OR_ADD"
    ADD_IF_ABSENT = "ADD_IF_ABSENT"
    OVERWRITE_IF_EXISTS_OR_ADD = "OVERWRITE_IF_EXISTS_OR_ADD"
    OVERWRITE_IF_EXISTS = "OVERWRITE_IF_EXISTS"


@attrs.frozen(kw_only=True)
class HeaderValueOption:
    """A header to add to a request or a response.

    Attributes:
        header: name and template; required.
        append: deprecated; True appends, False overwrites; excludes append_action.
        append_action: what happens when the header is there already.
        keep_empty_value: add it even when the template renders to nothing.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.HeaderValueOption"

    header: HeaderValue
    append: bool | None = None
    append_action: HeaderAppendAction = HeaderAppendAction.APPEND_IF_EXISTS_OR_ADD
    keep_empty_value: bool = False


@attrs.frozen(kw_only=True)
class DataSource:
    """Bytes from one place (oneof specifier, required).

    Attributes:
        filename: path of a file, read at load.
        inline_bytes: the bytes (base64 in the file).
        inline_string: the text.
        environment_variable: name of a variable that must be set.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.DataSource"

    filename: str | None = None
    inline_bytes: bytes | None = None
    inline_string: str | None = None
    environment_variable: str | None = None


@attrs.frozen(kw_only=True)
class TransportSocket:
    """The extension that turns raw bytes into the transport of a connection.

    Attributes:
        name: free text.
        typed_config: config object of the extension.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.TransportSocket"

    name: str = ""
    typed_config: object | None = None


@attrs.frozen(kw_only=True)
class TypedExtensionConfig:
    """Any extension.

    Attributes:
        name: free text; required.
        typed_config: config object of the extension; required.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.TypedExtensionConfig"

    name: str = ""
    typed_config: object
