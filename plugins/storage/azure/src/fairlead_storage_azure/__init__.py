"""Azure Blob Storage and Azure Files for Fairlead, over their REST interfaces."""
