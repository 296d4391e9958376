"""A folder in memory, where there is such a thing: thousands of flushes of a real disk take minutes."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest


@pytest.fixture
def memory_folder():
    made = tempfile.mkdtemp(prefix="qrex-tests-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    yield Path(made)
    shutil.rmtree(made)
