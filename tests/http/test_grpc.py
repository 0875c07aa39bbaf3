import pytest

from trio_envoy.http import grpc


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (b"application/grpc", True),
        (b"application/grpc+proto", True),
        (b"application/grpc-web", False),
        (b"application/grpc;x", False),
        (b"application/grpcx", False),
        (b"Application/grpc", False),
        (b"text/plain", False),
        (None, False),
    ],
)
def test_which_requests_are_calls(content_type, expected):
    assert grpc.is_grpc(content_type) is expected


@pytest.mark.parametrize(
    ("status", "grpc_status"),
    [
        (200, 2),
        (400, 13),
        (401, 16),
        (403, 7),
        (404, 12),
        (408, 2),
        (413, 2),
        (429, 14),
        (500, 2),
        (502, 14),
        (503, 14),
        (504, 14),
    ],
)
def test_status_of_our_own_answers(status, grpc_status):
    assert grpc.status_of_http(status) == grpc_status


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (b"0", False),
        (b"5", False),
        (b"16", False),
        (b"2", True),
        (b"13", True),
        (b"14", True),
        (b"99", True),
        (None, True),
    ],
)
def test_whose_fault_it_is(status, fault):
    assert grpc.is_server_fault(status) is fault


def test_messages_are_percent_encoded():
    assert grpc.encode_message("a%b\ncé~\x7f d".encode()) == b"a%25b%0Ac%C3%A9%7E%7F d"
