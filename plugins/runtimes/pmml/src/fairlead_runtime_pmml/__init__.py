"""The PMML runtime of Fairlead."""
