"""What runs inside the compared servers; each module in the environment of its own framework."""
