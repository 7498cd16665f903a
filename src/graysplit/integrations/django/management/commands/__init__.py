"""For Django, which looks here."""
