from trio_envoy import registry
from trio_envoy.config.upstreams import HttpProtocolOptions
from trio_envoy.extensions.upstreams import http
from trio_envoy.registry import Category


def test_its_message_is_found_by_type():
    assert registry.config_class(HttpProtocolOptions.__proto__) is HttpProtocolOptions


def test_options_have_no_live_object():
    options = HttpProtocolOptions()

    assert http.make(options) is options
    extension = registry.extension_for(Category.UPSTREAM_OPTIONS, options)
    assert extension is not None
    assert extension.name == "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
