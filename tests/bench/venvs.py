"""Virtual environments for the other Python proxies, so that their packages and ours never meet."""

import subprocess
import sys
import venv
from pathlib import Path

from tests.bench.processes import BenchError

_PATIENCE = 300.0  # s for an installation
_WITHOUT_VENV = Path(__file__).parents[2] / ".venv"


def environment(requirements: Path) -> Path:
    """The `bin` of an environment with what that file pins, of the same interpreter as this; made at the first need.

    Raises:
        BenchError: it could not be made, for want of a network for example.
    """
    mine = Path(sys.prefix) if sys.prefix != sys.base_prefix else _WITHOUT_VENV
    place = mine / "peers" / requirements.stem
    done = place / "installed.txt"
    if not done.exists() or done.read_text() != requirements.read_text():
        pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        try:
            venv.create(place, clear=True, with_pip=True)
            subprocess.run(
                [*pip, "-r", str(requirements)], capture_output=True, text=True, timeout=_PATIENCE, check=True
            )
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"{requirements.name} takes too long to install") from error
        except subprocess.CalledProcessError as error:
            raise BenchError(f"{error} {error.stderr or error.output}") from error
        done.write_text(requirements.read_text())
    return place / "bin"
