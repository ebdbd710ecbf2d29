"""Tests of what is applied to a cluster: manifests, permissions, the chart and the images."""
