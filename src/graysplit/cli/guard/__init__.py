"""The verbs of the guard, and what they print."""
