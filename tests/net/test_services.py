from tests.fakes import a_services


def test_connections_are_numbered_in_one_row():
    services = a_services()

    assert [services.connection_id() for _ in range(3)] == [0, 1, 2]
