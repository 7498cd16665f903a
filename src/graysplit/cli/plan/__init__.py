"""The verbs of plans, and what they print."""
