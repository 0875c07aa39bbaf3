"""`python -m tests.bench.websocket_echo port`: a WebSocket origin that sends each short message back."""

import base64
import hashlib
import re
import selectors
import socket
import sys

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
_SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: "


def accepted(request: bytes) -> bytes:
    """The answer to a request for an upgrade."""
    key = re.search(rb"(?i)\r\nsec-websocket-key: *(\S+)", request)
    if key is None:
        return b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    return _SWITCH + base64.b64encode(hashlib.sha1(key[1] + _MAGIC).digest()) + b"\r\n\r\n"


def echoed(received: bytes) -> tuple[bytes, bytes]:
    """The whole messages of what came, masked and of at most 125 bytes, as a server sends them; and the rest."""
    answer = b""
    while len(received) >= 6 and len(received) >= (end := 6 + (size := received[1] & 0x7F)):
        mask = received[2:6] * (size // 4 + 1)
        payload = int.from_bytes(received[6:end]) ^ int.from_bytes(mask[:size])
        answer += bytes((received[0], size)) + payload.to_bytes(size)
        received = received[end:]
    return answer, received


def serve(port: int) -> None:
    """Forever, in one process."""
    poller = selectors.DefaultSelector()
    with socket.create_server(("127.0.0.1", port), backlog=4096) as listener:
        poller.register(listener, selectors.EVENT_READ)
        pending: dict[socket.socket, bytes | None] = {}  # None: not a WebSocket yet
        while True:
            for key, _ in poller.select():
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                if connection is listener:
                    connection, _ = listener.accept()
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    poller.register(connection, selectors.EVENT_READ)
                    pending[connection] = None
                elif not _turn(connection, pending):
                    poller.unregister(connection)
                    del pending[connection]
                    connection.close()


def _turn(connection: socket.socket, pending: dict[socket.socket, bytes | None]) -> bool:
    """Read and answer once; False when the client is gone."""
    try:
        received = connection.recv(65536)
        if not received:
            return False
        rest = pending[connection]
        if rest is None:
            answer, pending[connection] = accepted(received), b""
        else:
            answer, pending[connection] = echoed(rest + received)
        connection.sendall(answer)
    except ConnectionError:
        return False
    return True


if __name__ == "__main__":
    serve(int(sys.argv[1]))
