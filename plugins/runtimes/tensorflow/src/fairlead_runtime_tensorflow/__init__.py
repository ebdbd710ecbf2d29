"""The TensorFlow runtime of Fairlead."""
