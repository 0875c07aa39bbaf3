from trio_envoy.http.hpack.errors import Oversized


def test_oversized_says_how_much_there_was():
    error = Oversized(101, 5000)
    assert (error.fields, error.size) == (101, 5000)
    assert str(error) == "101 header fields of 5000 bytes are too many"
