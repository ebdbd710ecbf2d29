"""What autoscaler strategies and the loop that asks them have in common; pure, without a clock and without I/O."""
