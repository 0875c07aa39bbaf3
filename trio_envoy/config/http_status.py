"""envoy.type.v3.HttpStatus: a status that is named.

Source: envoy/type/v3/http_status.proto.
"""

from __future__ import annotations

import enum
from typing import ClassVar

import attrs

from trio_envoy.config import schema


class StatusCode(enum.StrEnum):
    """The status codes that have a name.

    Proto: envoy.type.v3.StatusCode
    """

    Empty = "Empty"
    Continue = "Continue"
    OK = "OK"
    Created = "Created"
    Accepted = "Accepted"
    NonAuthoritativeInformation = "NonAuthoritativeInformation"
    NoContent = "NoContent"
    ResetContent = "ResetContent"
    PartialContent = "PartialContent"
    MultiStatus = "MultiStatus"
    AlreadyReported = "AlreadyReported"
    IMUsed = "IMUsed"
    MultipleChoices = "MultipleChoices"
    MovedPermanently = "MovedPermanently"
    Found = "Found"
    SeeOther = "SeeOther"
    NotModified = "NotModified"
    UseProxy = "UseProxy"
    TemporaryRedirect = "TemporaryRedirect"
    PermanentRedirect = "PermanentRedirect"
    BadRequest = "BadRequest"
    Unauthorized = "Unauthorized"
    PaymentRequired = "PaymentRequired"
    Forbidden = "Forbidden"
    NotFound = "NotFound"
    MethodNotAllowed = "MethodNotAllowed"
    NotAcceptable = "NotAcceptable"
    ProxyAuthenticationRequired = "ProxyAuthenticationRequired"
    RequestTimeout = "RequestTimeout"
    Conflict = "Conflict"
    Gone = "Gone"
    LengthRequired = "LengthRequired"
    PreconditionFailed = "PreconditionFailed"
    PayloadTooLarge = "PayloadTooLarge"
    URITooLong = "URITooLong"
    UnsupportedMediaType = "UnsupportedMediaType"
    RangeNotSatisfiable = "RangeNotSatisfiable"
    ExpectationFailed = "ExpectationFailed"
    MisdirectedRequest = "MisdirectedRequest"
    UnprocessableEntity = "UnprocessableEntity"
    Locked = "Locked"
    FailedDependency = "FailedDependency"
    UpgradeRequired = "UpgradeRequired"
    PreconditionRequired = "PreconditionRequired"
    TooManyRequests = "TooManyRequests"
    RequestHeaderFieldsTooLarge = "RequestHeaderFieldsTooLarge"
    InternalServerError = "InternalServerError"
    NotImplemented = "NotImplemented"
    BadGateway = "BadGateway"
    ServiceUnavailable = "ServiceUnavailable"
    GatewayTimeout = "GatewayTimeout"
    HTTPVersionNotSupported = "HTTPVersionNotSupported"
    VariantAlsoNegotiates = "VariantAlsoNegotiates"
    InsufficientStorage = "InsufficientStorage"
    LoopDetected = "LoopDetected"
    NotExtended = "NotExtended"
    NetworkAuthenticationRequired = "NetworkAuthenticationRequired"

    @property
    def number(self) -> int:
        """As on the wire."""
        known = schema.enum("envoy.type.v3.StatusCode")
        assert known is not None, "the schema has it"
        return known.values[self.value]


@attrs.frozen(kw_only=True)
class HttpStatus:
    """A status.

    Attributes:
        code: required; not Empty.
    """

    __proto__: ClassVar[str] = "envoy.type.v3.HttpStatus"

    code: StatusCode = StatusCode.Empty
