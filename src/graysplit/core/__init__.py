"""The pure core: what graysplit decides, with no I/O, clock, thread, randomness or logging in it."""
