"""Knative's pod autoscaler (KPA) as a strategy of Fairlead."""
