"""The platform without a cluster: replicas as processes, Envoy as the gateway, an activator, and the loop over them."""
