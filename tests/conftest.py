"""What every test runs under."""

from __future__ import annotations

import os

# One thread a process: on a shared machine more make linear algebra slower, not faster. The
# variables are for subprocesses and for libraries that are loaded later; napari's pytest plugin has
# loaded NumPy already, so its threads are limited below.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"
os.environ["QT_API"] = "pyqt6"
# A layer touched from another thread than the main one is an error, not a crash now and then.
os.environ["NAPARI_ENSURE_PLUGIN_MAIN_THREAD"] = "1"

import threadpoolctl

threadpoolctl.threadpool_limits(limits=1)
