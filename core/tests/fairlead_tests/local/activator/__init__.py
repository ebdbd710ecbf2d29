"""The activator: what it decides, and what its process does over real sockets."""
