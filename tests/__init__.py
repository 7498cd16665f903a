"""The tests mirror `src/graysplit`; beside them stand laws, faults, typing and vectors."""
