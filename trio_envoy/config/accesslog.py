"""envoy.config.accesslog.v3 and the loggers that write lines.

Source: envoy/config/accesslog/v3/accesslog.proto, envoy/extensions/access_loggers/{file,stream}/v3/*.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs

from trio_envoy.config.accesslog_filter import AccessLogFilter
from trio_envoy.config.substitution import SubstitutionFormatString


@attrs.frozen(kw_only=True)
class AccessLog:
    """One access log.

    Attributes:
        name: free text.
        filter: which requests are logged; None: all.
        typed_config: config object of the logger.
    """

    __proto__: ClassVar[str] = "envoy.config.accesslog.v3.AccessLog"

    name: str = ""
    filter: AccessLogFilter | None = None
    typed_config: object | None = None


@attrs.frozen(kw_only=True)
class FileAccessLog:
    """Lines to a file (oneof access_log_format; none is the default format).

    Attributes:
        path: file name, not empty.
        format: deprecated text template.
        json_format: deprecated JSON template, all values strings.
        typed_json_format: deprecated JSON template, numbers and booleans kept.
        log_format: the template.
    """

    __proto__: ClassVar[str] = "envoy.extensions.access_loggers.file.v3.FileAccessLog"

    path: str = ""
    format: str | None = None
    json_format: Mapping[str, Any] | None = None
    typed_json_format: Mapping[str, Any] | None = None
    log_format: SubstitutionFormatString | None = None


@attrs.frozen(kw_only=True)
class StdoutAccessLog:
    """Lines to standard output.

    Attributes:
        log_format: the template; None is the default format.
    """

    __proto__: ClassVar[str] = "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"

    log_format: SubstitutionFormatString | None = None


@attrs.frozen(kw_only=True)
class StderrAccessLog:
    """Lines to standard error.

    Attributes:
        log_format: the template; None is the default format.
    """

    __proto__: ClassVar[str] = "envoy.extensions.access_loggers.stream.v3.StderrAccessLog"

    log_format: SubstitutionFormatString | None = None
