"""The PyTorch runtime of Fairlead."""
