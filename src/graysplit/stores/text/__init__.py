"""The text forms of what a store keeps."""
