from trio_envoy.config.types import DenominatorType, FractionalPercent, Int64Range, Percent


def test_a_fraction(structure):
    made = structure("{numerator: 5, denominator: ten_thousand}", FractionalPercent)

    assert made == FractionalPercent(numerator=5, denominator=DenominatorType.TEN_THOUSAND)
    assert structure("{}", FractionalPercent) == FractionalPercent(denominator=DenominatorType.HUNDRED)


def test_a_percentage_is_at_most_a_hundred(structure, faults):
    assert structure("{value: 12.5}", Percent) == Percent(value=12.5)
    assert faults("{value: 101}", Percent.__proto__) == ["$.value: value must be inside range [0.0, 100.0], got 101.0"]


def test_a_range_takes_64_bits(structure):
    assert structure("{start: -5, end: 9223372036854775807}", Int64Range) == Int64Range(start=-5, end=2**63 - 1)
