"""The CatBoost runtime of Fairlead."""
