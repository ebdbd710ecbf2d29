"""Train a model in whichever environment runs this, so that the same environment can load it.

A file that ends in ``.bst`` gets a LightGBM booster, any other a scikit-learn classifier.

python -m comparison.train FILE
"""

from __future__ import annotations

import sys
from typing import Any

from sklearn.datasets import load_iris

__all__ = ["booster"]


def booster() -> Any:
    """A LightGBM booster of probabilities of three kinds; the same each time."""
    import lightgbm

    flowers, kinds = load_iris(return_X_y=True)
    settings = {"objective": "multiclass", "num_class": 3, "verbosity": -1, "num_threads": 1, "deterministic": True}
    return lightgbm.train(settings, lightgbm.Dataset(flowers, kinds), num_boost_round=20)


def main() -> None:
    """Train and save."""
    if sys.argv[1].endswith(".bst"):
        booster().save_model(sys.argv[1])
        return
    import joblib
    from sklearn.svm import SVC

    flowers, kinds = load_iris(return_X_y=True)
    joblib.dump(SVC(gamma="scale").fit(flowers, kinds), sys.argv[1])


if __name__ == "__main__":
    main()
