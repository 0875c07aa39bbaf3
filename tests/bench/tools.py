"""Programs of the system: where they are, and which version."""

import re
import shutil
import subprocess
from collections.abc import Sequence

from tests.bench.processes import BenchError


def tool(name: str) -> str:
    """Where a program is, also in the folders that only an administrator has in PATH.

    Raises:
        BenchError: it is not installed.
    """
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise BenchError(f"no {name}")
    return found


def version(command: Sequence[str], pattern: str = r"(\d+(?:\.\d+)+)") -> str:
    """What a program says of itself: the first group of the pattern."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else "?"
