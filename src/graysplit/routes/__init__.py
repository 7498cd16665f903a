"""What application code calls: routed functions and handles, each reading one state that the router swaps.

Nothing is imported here: a program loads what it declares with.
"""
