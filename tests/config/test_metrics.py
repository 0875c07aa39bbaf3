import attrs
import pytest

from trio_envoy.config import metrics, schema


@pytest.mark.parametrize(
    "cls",
    [
        metrics.StatsConfig,
        metrics.StatsMatcher,
        metrics.TagSpecifier,
        metrics.HistogramBucketSettings,
        metrics.ListStringMatcher,
    ],
)
def test_fields_are_those_of_envoy(cls):
    message = schema.message(cls.__proto__)

    assert message is not None
    assert {field.name for field in attrs.fields(cls)} <= set(message.fields)
