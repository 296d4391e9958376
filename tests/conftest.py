"""What all tests share: pools of this run share with nobody else on the machine."""

import os
import tempfile

os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="qrex-tests-")
