"""Models from HDFS for Fairlead, over the WebHDFS REST API."""
