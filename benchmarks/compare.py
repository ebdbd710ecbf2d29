"""Fairlead, KServe's Python server and others, side by side on one machine: requests, starts, memory and overload.

Every server is installed from its package into an environment of its own under ``build/environments``, gets the same
models, and runs on one core while the load comes from another. All are up at the same time and are measured in turn,
so that ratios hold on a busy machine as well. docs/performance.md says more.

    python benchmarks/compare.py [--only WORKLOAD,...] [--servers SERVER,...] [--rounds N] [--seconds N] [--json FILE]
"""

from __future__ import annotations

import sys

from comparison.main import main

if __name__ == "__main__":
    sys.exit(main())
