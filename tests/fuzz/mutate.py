# ruff: noqa: E501 # tables of bytes
"""Small damage to bytes, and where to cut them."""

from random import Random

_BYTES = (
    b"\r", b"\n", b"\r\n", b"\n\n", b"\r\r\n", b"\r\n\r\n", b" ", b"\t", b"  ", b":", b";", b",", b"=", b'"', b"\x00", b"\x01",
    b"\x0b", b"\x0c", b"\x7f", b"\x80", b"\xff", b"\xc3\xa4", b"/", b"?", b"#", b"%", b"%2e", b"\\", b"@", b"[", b"]", b"{",
    b"0", b"1", b"-", b"+", b"_", b"\r\n ", b"\r\n\t", b"0\r\n\r\n", b"HTTP/1.1", b"a", b"A",
)  # fmt: skip


def mutated(random: Random, data: bytes, times: int) -> bytes:
    """The bytes after so many small changes."""
    for _ in range(times):
        data = _once(random, data)
    return data


def _once(random: Random, data: bytes) -> bytes:
    at = random.randrange(len(data) + 1)
    kind = random.randrange(7)
    if kind == 0:
        return data[:at] + random.choice(_BYTES) + data[at:]
    if kind == 1:
        return data[:at] + random.choice(_BYTES) + data[at + 1 :]
    if kind == 2:
        return data[:at] + data[at + random.choice((1, 1, 1, 2, 4)) :]
    if kind == 3:  # twice what stands there
        return data[:at] + data[max(0, at - random.randrange(1, 40)) :]
    if kind == 4:
        return data[:at] + bytes((random.randrange(256),)) + data[at + 1 :]
    if kind == 5:  # at the end of a line
        ends = [index for index, byte in enumerate(data) if byte == 10]
        if not ends:
            return data
        at = random.choice(ends)
        return (
            data[: at - 1]
            + random.choice((b"\n", b"\r\r\n", b" \r\n", b"\t\r\n", b"\r \n", b"\r", b"\x00\r\n"))
            + data[at + 1 :]
        )
    other = random.randrange(len(data) + 1)
    low, high = sorted((at, other))
    return data[:low] + data[low : min(high, low + 30)].swapcase() + data[min(high, low + 30) :]


def cut(random: Random, data: bytes, most: int) -> tuple[bytes, ...]:
    """The bytes in up to so many pieces."""
    places = sorted({random.randrange(len(data) + 1) for _ in range(random.randrange(1, most))})
    return tuple(data[low:high] for low, high in zip([0, *places], [*places, len(data)], strict=True))
