"""An array of every datatype that has to come back as it was sent; run by the environments of clients too."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["ARRAYS"]

ARRAYS: dict[str, Any] = {
    "BOOL": np.array([[True, False]]),
    "UINT8": np.array([[0, 255]], np.uint8),
    "UINT16": np.array([[0, 65535]], np.uint16),
    "UINT32": np.array([[0, 2**32 - 1]], np.uint32),
    "UINT64": np.array([[0, 2**64 - 1]], np.uint64),
    "INT8": np.array([[-128, 127]], np.int8),
    "INT16": np.array([[-(2**15), 2**15 - 1]], np.int16),
    "INT32": np.array([[-(2**31), 2**31 - 1]], np.int32),
    "INT64": np.array([[-(2**63), 2**63 - 1]], np.int64),
    "FP16": np.array([[0.5, -65504.0]], np.float16),
    "FP32": np.array([[np.pi, -1e38]], np.float32),
    "FP64": np.array([[np.pi, -1e308]], np.float64),
    "BYTES": np.array([[b"\xff\x00", "ü".encode()]], object),
}
