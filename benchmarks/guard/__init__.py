"""Simulations of the guard's arithmetic: how often it errs, how fast it acts, and what others do in the same cases."""
