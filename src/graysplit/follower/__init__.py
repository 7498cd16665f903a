"""Follow a store from one daemon thread, and tell the router what changed.

Nothing is imported here: a router loads its follower when it starts.
"""
