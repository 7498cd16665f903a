"""The router: decisions, declarations, and the life of one follower."""
