"""The scikit-learn runtime of Fairlead."""
