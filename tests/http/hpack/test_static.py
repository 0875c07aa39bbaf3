from hpack.table import HeaderTable

from trio_envoy.http.hpack import static


def test_the_table_is_that_of_the_rfc():
    assert static.FIELDS == HeaderTable.STATIC_TABLE
    assert static.COUNT == 61
    assert static.FIELDS[0] == (b":authority", b"")
    assert static.FIELDS[60] == (b"www-authenticate", b"")


def test_a_field_is_found_by_itself_and_by_its_name():
    assert static.INDEX[b":status", b"404"] == 13
    assert static.NAME_INDEX[b":status"] == 8  # the lowest
    assert (b":status", b"418") not in static.INDEX
