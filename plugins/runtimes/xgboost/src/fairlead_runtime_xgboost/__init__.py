"""The XGBoost runtime of Fairlead."""
