"""The tests mirror `src/graysplit`; beside them stand laws, faults, typing and vectors.

Programs that tests start import this too: it imports nothing.
"""
