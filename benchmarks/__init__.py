"""What graysplit costs, measured against its goals: `make bench`."""
