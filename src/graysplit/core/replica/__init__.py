"""What a process believes of its store: the bytes, what is adopted, whether the log is the same. Pure."""
