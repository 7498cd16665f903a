"""The plan of a release: its steps, what is due, and its forecast. Pure."""
