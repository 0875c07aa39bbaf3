from trio_envoy.http import spelling


def test_capitals_behind_what_is_no_letter_or_digit():
    names = {b"x-some_thing": b"X-Some_Thing", b"7-a1b": b"7-A1b", b"x--y": b"X--Y", b"te": b"Te", b"": b""}

    assert {name: spelling.proper_case(name) for name in names} == names


def test_names_in_proper_case_are_remembered_within_bounds():
    for i in range(3000):
        assert spelling.proper_case(b"x-%d-a" % i) == b"X-%d-A" % i
    assert len(spelling._PROPER) <= spelling._MAX_PROPER


def test_a_long_name_is_not_remembered():
    name = b"x" * (spelling._MAX_NAME + 1)

    assert spelling.proper_case(name) == b"X" + name[1:]
    assert name not in spelling._PROPER
