"""early_header_mutation_extensions."""

import pytest

from tests.fakes import a_services
from trio_envoy.config.core import TypedExtensionConfig
from trio_envoy.config.mutation_rules import HeaderMutation as Mutation
from trio_envoy.errors import ConfigError
from trio_envoy.extensions.filters.http.router import Router
from trio_envoy.extensions.http.early_header_mutation.header_mutation import HeaderMutation, HeaderMutations
from trio_envoy.hcm.early_mutation import early_mutations


def test_extensions_are_built():
    config = HeaderMutation(mutations=(Mutation(remove="x"),))

    built = early_mutations((TypedExtensionConfig(name="m", typed_config=config),), a_services())

    assert [type(each) for each in built] == [HeaderMutations]


def test_what_is_no_such_extension_is_refused():
    with pytest.raises(ConfigError, match="Early header mutation extension not found: 'r'"):
        early_mutations((TypedExtensionConfig(name="r", typed_config=Router()),), a_services())
