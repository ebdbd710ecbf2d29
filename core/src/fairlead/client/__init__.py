"""The client for the kinds of ``serving.kserve.io`` in a cluster: `fairlead.Client`."""
