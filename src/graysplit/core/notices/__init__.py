"""How far hooks have been told what the log holds. Pure."""
