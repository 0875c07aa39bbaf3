"""The application log in a process of tests, which some of them set up as the command does."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from trio_envoy.util.log import COMPONENTS, ROOT, logger


@contextmanager
def logs_as_before() -> Iterator[None]:
    """Take back what is done to the application log inside."""
    root = logging.getLogger(ROOT)
    handlers, propagate = root.handlers[:], root.propagate
    levels = {component: logger(component).level for component in COMPONENTS}
    try:
        yield
    finally:
        root.handlers[:], root.propagate = handlers, propagate
        for component, level in levels.items():
            logger(component).setLevel(level)
