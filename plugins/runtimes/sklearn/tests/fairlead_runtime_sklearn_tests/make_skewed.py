"""Makes the files in ``artifacts``: estimators that were saved with an old scikit-learn.

They are test data, made once, and differ from what a current scikit-learn would write; so they need an environment
of their own, as KServe pins it::

    python -m venv skewed
    skewed/bin/pip install scikit-learn==1.5.2 numpy==1.26.4 scipy==1.13.1 joblib==1.4.2 pandas==2.2.3 skops==0.11.0
    skewed/bin/python make_skewed.py

What the three kinds show with scikit-learn 1.9.1:

- do not load: ``gradient_boosting``, ``hist_gradient_boosting``, ``columns``;
- load, and do not answer: ``imputer``;
- load and answer: ``logistic_regression``, ``svc``.
"""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import SVC

ARTIFACTS = Path(__file__).parent / "artifacts"


def main() -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    x, y = load_iris(return_X_y=True)
    boosting = GradientBoostingClassifier(n_estimators=1, max_depth=1, random_state=0).fit(x, y)
    for name, compression in {"zlib": ("zlib", 3), "bz2": ("bz2", 3), "xz": ("xz", 3), "lzma": ("lzma", 3)}.items():
        joblib.dump(boosting, ARTIFACTS / f"gradient_boosting_{name}.joblib", compress=compression)
    joblib.dump(boosting, ARTIFACTS / "gradient_boosting_plain.joblib")
    skops.io.dump(boosting, ARTIFACTS / "gradient_boosting.skops", compression=8)
    for protocol in (2, 4):
        (ARTIFACTS / f"gradient_boosting_protocol_{protocol}.pkl").write_bytes(pickle.dumps(boosting, protocol))
    (ARTIFACTS / "gradient_boosting_gzip.pickle").write_bytes(gzip.compress(pickle.dumps(boosting), mtime=0))

    histogram = HistGradientBoostingClassifier(max_iter=1, max_leaf_nodes=3, random_state=0).fit(x, y)
    joblib.dump(histogram, ARTIFACTS / "hist_gradient_boosting.joblib", compress=3)

    table = pd.DataFrame({"city": ["Oslo", "Rome"] * 10, "age": np.arange(20.0)})
    columns = ColumnTransformer([("city", OneHotEncoder(), ["city"])], remainder="passthrough")
    pipeline = make_pipeline(columns, LogisticRegression()).fit(table, np.arange(20) % 2)
    joblib.dump(pipeline, ARTIFACTS / "columns.joblib", compress=3)

    imputer = make_pipeline(SimpleImputer(), LogisticRegression(max_iter=500)).fit(x, y)
    joblib.dump(imputer, ARTIFACTS / "imputer.joblib", compress=3)
    joblib.dump(LogisticRegression(max_iter=500).fit(x, y), ARTIFACTS / "logistic_regression.joblib", compress=3)
    svc = SVC().fit(x, y)
    joblib.dump(svc, ARTIFACTS / "svc.joblib", compress=3)
    skops.io.dump(svc, ARTIFACTS / "svc.skops", compression=8)


if __name__ == "__main__":
    main()
