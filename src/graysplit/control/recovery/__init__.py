"""What is left of a store that has lost data, and the change that mends it."""
