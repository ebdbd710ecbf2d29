"""The autoscaler strategy hpa of Fairlead: the arithmetic of the HorizontalPodAutoscaler, in process."""
