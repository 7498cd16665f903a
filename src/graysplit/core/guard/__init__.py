"""The guard's arithmetic: what is counted, in which windows, and what it proves. Pure."""
