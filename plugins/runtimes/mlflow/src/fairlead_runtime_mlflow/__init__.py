"""The MLflow runtime of Fairlead."""
