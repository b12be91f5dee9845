"""How ONNX Runtime is started, the same for every network."""

from __future__ import annotations

import os
from typing import Any


def session_options() -> Any:
    """As many threads as ``OMP_NUM_THREADS`` says, which torch obeys and ONNX Runtime ignores."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if asked.isdigit():
        options.intra_op_num_threads = int(asked)
    return options
