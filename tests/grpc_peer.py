"""A gRPC server of bytes with grpcio, without generated code; its methods run in threads."""

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

NAME = "test.Service"
_UNLIMITED = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
CLIENT = (*_UNLIMITED, ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0))


class Service:
    """What the server does.

    Attributes:
        ended: number of calls of `Hang` which were ended by the other side.
        hanging: released for each call of `Hang` that has come.
    """

    def __init__(self) -> None:
        self.ended = 0
        self.hanging = threading.Semaphore(0)
        self._lock = threading.Lock()

    def handlers(self) -> grpc.GenericRpcHandler:
        """The methods by their names."""
        return grpc.method_handlers_generic_handler(
            NAME,
            {
                "Echo": grpc.unary_unary_rpc_method_handler(self._echo),
                "Count": grpc.unary_stream_rpc_method_handler(self._count),
                "Collect": grpc.stream_unary_rpc_method_handler(self._collect),
                "Chat": grpc.stream_stream_rpc_method_handler(self._chat),
                "Refuse": grpc.unary_unary_rpc_method_handler(self._refuse),
                "Hang": grpc.unary_stream_rpc_method_handler(self._hang),
            },
        )

    def _echo(self, request: bytes, context: Any) -> bytes:
        """The message, and each metadata field that was asked with, as initial and as trailing metadata."""
        asked = tuple((key, value) for key, value in context.invocation_metadata() if key.startswith("x-asked"))
        context.send_initial_metadata(asked)
        context.set_trailing_metadata(asked)
        return request

    def _count(self, request: bytes, context: Any) -> Iterator[bytes]:
        for number in range(int(request)):
            yield b"%d" % number

    def _collect(self, requests: Iterable[bytes], context: Any) -> bytes:
        return b"".join(requests)

    def _chat(self, requests: Iterable[bytes], context: Any) -> Iterator[bytes]:
        for request in requests:
            yield request.upper()

    def _refuse(self, request: bytes, context: Any) -> bytes:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not like this: %")
        raise AssertionError("abort() raises")

    def _hang(self, request: bytes, context: Any) -> Iterator[bytes]:
        """One message, then nothing until the client or its deadline ends the call."""
        gone = threading.Event()
        if not context.add_callback(gone.set):
            gone.set()
        self.hanging.release()
        yield request
        gone.wait(30)
        with self._lock:
            self.ended += gone.is_set()


@contextmanager
def serving(service: Service, *, threads: int = 8, certificate: tuple[bytes, bytes] | None = None) -> Iterator[int]:
    """Serve; gives the port.

    Args:
        service: what is served.
        threads: how many calls are served at a time.
        certificate: (private key, chain) in PEM for TLS.
    """
    server = grpc.server(ThreadPoolExecutor(threads), options=[*_UNLIMITED, ("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((service.handlers(),))
    if certificate is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([certificate]))
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


def channel(port: int, authority: bytes | None = None, name: str = "localhost", **options: Any) -> grpc.Channel:
    """A channel with a connection of its own, over TLS if there is a certificate authority (PEM)."""
    if authority is None:
        return grpc.insecure_channel(f"127.0.0.1:{port}", options=CLIENT, **options)
    credentials = grpc.ssl_channel_credentials(authority)
    own = [*CLIENT, ("grpc.ssl_target_name_override", name)]
    return grpc.secure_channel(f"127.0.0.1:{port}", credentials, options=own, **options)
