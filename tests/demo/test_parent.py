import subprocess
import sys

import pytest

CHILD = (
    "import time; from trio_envoy.demo.parent import end_with_parent; end_with_parent(); "
    "print('up', flush=True); time.sleep(60)"
)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM is POSIX")
def test_a_process_is_terminated_when_its_input_ends():
    with subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"up\n"
        assert child.poll() is None

        child.stdin.write(b"what is written there is nobody's business")
        child.stdin.flush()
        assert child.poll() is None
        child.stdin.close()

        assert child.wait(timeout=10) == -15
