"""Strategies that decide in process, asked in a cluster: what pods report is measured, and Deployments are scaled."""
