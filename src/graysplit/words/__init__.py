"""What splits, plans, verdicts and changes are called: the words, and the plain values, of every screen."""
