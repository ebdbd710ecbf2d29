"""What is seen of services in a cluster, and what is told of it."""
