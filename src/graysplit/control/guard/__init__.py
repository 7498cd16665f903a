"""The guard, as operators arm it and read what it says."""
