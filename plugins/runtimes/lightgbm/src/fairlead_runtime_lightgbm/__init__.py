"""The LightGBM runtime of Fairlead."""
