"""What all tests share: pools of this run share with nobody else on the machine."""

import os
import shutil
import tempfile

_OWN = tempfile.mkdtemp(prefix="qrex-tests-")
os.environ["XDG_RUNTIME_DIR"] = _OWN


def pytest_sessionfinish():
    shutil.rmtree(_OWN, ignore_errors=True)
