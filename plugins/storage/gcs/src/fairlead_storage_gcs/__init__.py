"""Google Cloud Storage for Fairlead, over gcsfs."""
