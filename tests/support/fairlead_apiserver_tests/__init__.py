"""What the API server in memory has in common with a real one, stated one by one."""
