import pytest

from trio_envoy.config import durations


@pytest.mark.parametrize(
    ("text", "nanoseconds", "printed"),
    [
        ("0s", 0, "0s"),
        ("-0s", 0, "0s"),
        ("1s", 1_000_000_000, "1s"),
        ("01s", 1_000_000_000, "1s"),
        ("0.25s", 250_000_000, "0.250s"),
        ("1.5s", 1_500_000_000, "1.500s"),
        ("0.0001s", 100_000, "0.000100s"),
        ("1.000000001s", 1_000_000_001, "1.000000001s"),
        ("9223372035s", 9_223_372_035 * 10**9, "9223372035s"),
    ],
)
def test_a_duration_and_how_it_is_printed(text, nanoseconds, printed):
    assert durations.parse(text) == nanoseconds
    assert durations.render(nanoseconds) == printed
    assert durations.to_seconds(printed) == pytest.approx(nanoseconds / 1e9)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        *((text, "must start with an integer") for text in ("", "s", ".5s", "+1s", " 1s", "x")),
        *((text, "must end with a single 's'") for text in ("1", "250ms", "1m", "1S", "1 s", "1e1s", "1ss", "1s ")),
        ("1.s", "1 to 9 decimals"),
        ("1.1234567891s", "1 to 9 decimals"),
        *((text, "expected positive duration") for text in ("-1s", "-0.5s", "-0.000000001s")),
        ("9223372036s", "out of range"),
    ],
)
def test_what_is_no_duration(text, error):
    with pytest.raises(ValueError, match=error):
        durations.parse(text)


def test_the_two_fields():
    assert durations.of(1, 500) == 1_000_000_500
    with pytest.raises(ValueError, match="out of range"):
        durations.of(1, 1_500_000_000)
    with pytest.raises(ValueError, match="positive"):
        durations.of(0, -1)
