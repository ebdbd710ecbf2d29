"""The autoscaler strategy keda of Fairlead: a ScaledObject of KEDA scales, in a cluster."""
