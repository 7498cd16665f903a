"""The same 20 % decision as other libraries make it: `make bench-peers`. One small module per peer."""
