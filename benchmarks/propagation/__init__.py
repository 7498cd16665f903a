"""How long a change takes to reach every process that follows one server."""
