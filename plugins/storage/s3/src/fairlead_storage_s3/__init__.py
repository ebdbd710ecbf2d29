"""The storage provider of Fairlead for Amazon S3, over s3fs."""
