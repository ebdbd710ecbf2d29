"""JSON in, JSON out: scores reviews by the words in them.

The words and their weights come from `lexicon.json` beside this file, where there is one.
"""

import json
import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead import CustomModel, InferRequest
from fairlead.errors import InvalidInput

WEIGHTS = {"good": 1.0, "great": 2.0, "love": 2.0, "bad": -1.0, "awful": -2.0, "hate": -2.0}


class Sentiment(CustomModel):
    def load(self) -> None:
        lexicon = self.artifact / "lexicon.json"
        weights: dict[str, float] = json.loads(lexicon.read_text()) if lexicon.exists() else WEIGHTS
        self.words = {word: column for column, word in enumerate(weights)}
        self.weights = np.array(list(weights.values()))

    def sample(self) -> list[str]:
        return ["a good book"]

    def preprocess(self, reviews: list[Any]) -> NDArray[np.float64]:
        counts = np.zeros((len(reviews), len(self.words)))
        for row, review in enumerate(reviews):
            if not isinstance(review, str):
                raise InvalidInput(f"instance {row} is not a text")
            for word in re.findall(r"[a-z]+", review.lower()):
                if word in self.words:
                    counts[row, self.words[word]] += 1
        return counts

    def predict(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(counts @ self.weights, dtype=np.float64)

    def postprocess(self, scores: NDArray[np.float64], request: InferRequest) -> dict[str, Any]:
        labels = ["positive" if score > 0 else "negative" if score < 0 else "neutral" for score in scores]
        confidence = [round(math.tanh(abs(score)), 3) for score in scores]
        predictions = [{"label": label, "confidence": sure} for label, sure in zip(labels, confidence, strict=True)]
        return {"model": request.model_name, "predictions": predictions}
