"""`python -m tests.bench.resume port seconds`: resumed TLS handshakes, one after another; prints how many there were.

openssl s_time can't do this with TLS 1.3: it leaves before the tickets come.
"""

import socket
import ssl
import sys
import time

_ADDRESS = "127.0.0.1"
_REQUEST = b"GET /64 HTTP/1.1\r\nhost: localhost\r\n\r\n"


def resume(port: int, seconds: float) -> tuple[int, int, float]:
    """Handshakes, how many of them were resumed, and seconds taken. The first, full handshake does not count."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with _connected(context, port, None) as first:
        first.sendall(_REQUEST)
        first.recv(65536)  # tickets come before the response
        session = first.session
    shaken = resumed = 0
    begin = time.perf_counter()
    while (taken := time.perf_counter() - begin) < seconds:
        with _connected(context, port, session) as connection:
            shaken += 1
            resumed += bool(connection.session_reused)
    return shaken, resumed, taken


def _connected(context: ssl.SSLContext, port: int, session: ssl.SSLSession | None) -> ssl.SSLSocket:
    return context.wrap_socket(socket.create_connection((_ADDRESS, port), timeout=5.0), session=session)


if __name__ == "__main__":
    shaken, resumed, taken = resume(int(sys.argv[1]), float(sys.argv[2]))
    print(f"{shaken} handshakes in {taken:.3f} seconds, {resumed} of them resumed")
