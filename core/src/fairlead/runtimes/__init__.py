"""What runtimes have in common: reading tables and tensors, opening files, threads, answers. For authors of plugins."""
