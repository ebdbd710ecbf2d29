"""Train the classifier in whichever environment runs this, so that the same environment can load it.

python -m comparison.train FILE
"""

from __future__ import annotations

import sys

import joblib
from sklearn.datasets import load_iris
from sklearn.svm import SVC


def main() -> None:
    """Train and dump."""
    flowers, kinds = load_iris(return_X_y=True)
    joblib.dump(SVC(gamma="scale").fit(flowers, kinds), sys.argv[1])


if __name__ == "__main__":
    main()
