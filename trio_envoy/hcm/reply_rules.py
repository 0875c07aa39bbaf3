"""local_reply_config: what becomes of the answers that are made here.

Source: Envoy, local_reply/local_reply.cc and Utility::sendLocalReply; measured on 1.40.
"""

from __future__ import annotations

from typing import Final

import attrs

from trio_envoy.accesslog.filters import Passes, compile_filter
from trio_envoy.config.hcm import LocalReplyConfig, ResponseMapper
from trio_envoy.config.substitution import SubstitutionFormatString
from trio_envoy.errors import Faults
from trio_envoy.formatter.compile import Render
from trio_envoy.formatter.context import Logged
from trio_envoy.formatter.substitution import compile_substitution
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request, Response
from trio_envoy.net import data_source
from trio_envoy.net.services import Services
from trio_envoy.net.stream_info import StreamInfo
from trio_envoy.routing.header_ops import Level, response_additions

TEXT: Final = b"text/plain"
JSON: Final = b"application/json"
_CONTENT_TYPE: Final = b"content-type"


@attrs.frozen(eq=False)
class _Form:
    """How a body is written.

    Attributes:
        render: the body; %LOCAL_REPLY_BODY% is the one before.
        content_type: of it.
    """

    render: Render
    content_type: bytes


@attrs.frozen(eq=False)
class _Mapper:
    """One compiled ResponseMapper."""

    passes: Passes
    status: int | None
    body: bytes | None
    form: _Form | None
    additions: Level | None


class ReplyRules:
    """The local_reply_config of one HCM, compiled."""

    def __init__(self, config: LocalReplyConfig, services: Services) -> None:
        """Compile.

        Raises:
            ConfigError: a bad filter, template or header, a file that can't be read.
        """
        faults = Faults()
        mappers = []
        for each in config.mappers:
            with faults:
                mappers.append(_mapper(each, services))
        self._form: _Form | None = None
        with faults:
            self._form = _form(config.body_format)
        faults.raise_all()
        self._mappers = tuple(mappers)

    def apply(
        self, info: StreamInfo, request: Request | None, status: int, text: bytes, headers: Headers
    ) -> tuple[int, bytes, bytes]:
        """Change a reply; info.status becomes its status.

        Args:
            info: of the stream.
            request: None when there never was one.
            status: of the reply.
            text: its body.
            headers: of the reply, changed.

        Returns:
            status, body, and the content type of that if the headers have none.
        """
        info.status = status
        seen = Logged(info, request, Response(status, headers))
        form = self._form
        typed = headers.first.get(_CONTENT_TYPE)
        before = text
        for mapper in self._mappers:
            if mapper.passes(seen):
                if mapper.body is not None:
                    text = mapper.body
                if mapper.additions is not None:
                    mapper.additions.apply(headers, seen)
                if mapper.status is not None:
                    status = info.status = mapper.status
                form = mapper.form or form
                break
        content_type = TEXT
        if form is not None:
            info.local_reply_body = text
            text = form.render(seen)
            info.local_reply_body = b""
            content_type = form.content_type
        if typed is not None and text != before and headers.first.get(_CONTENT_TYPE) == typed:
            headers.set(_CONTENT_TYPE, content_type)
        return status, text, content_type

    def reshape(self, info: StreamInfo, status: int, text: bytes) -> tuple[int, bytes, Headers]:
        """The same for what a codec answers itself; see CodecOptions.reshape."""
        headers = Headers()
        status, text, content_type = self.apply(info, None, status, text, headers)
        headers.set(b"content-length", b"%d" % len(text))
        if text and _CONTENT_TYPE not in headers.first:
            headers.add(_CONTENT_TYPE, content_type)
        return status, text, headers


def reply_rules(config: LocalReplyConfig | None, services: Services) -> ReplyRules | None:
    """The rules; None when replies stay as they are.

    Raises:
        ConfigError: a bad filter, template or header, a file that can't be read.
    """
    if config is None or not (config.mappers or config.body_format is not None):
        return None
    return ReplyRules(config, services)


def _mapper(config: ResponseMapper, services: Services) -> _Mapper:
    return _Mapper(
        passes=compile_filter(config.filter, services),
        status=config.status_code,
        body=None if config.body is None else data_source.read(config.body),
        form=_form(config.body_format_override),
        additions=response_additions(config.headers_to_add),
    )


def _form(config: SubstitutionFormatString | None) -> _Form | None:
    if config is None:
        return None
    content_type = config.content_type.encode() or (JSON if config.json_format is not None else TEXT)
    return _Form(compile_substitution(config), content_type)
