"""What the verbs ask for: each request says what it would write, by what was read."""
