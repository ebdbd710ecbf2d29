"""The PaddlePaddle runtime of Fairlead."""
