"""What living with graysplit costs: a request, a process at rest, its start, a change."""
