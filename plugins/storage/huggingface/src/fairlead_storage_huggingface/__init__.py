"""The storage provider for the Hugging Face Hub."""
