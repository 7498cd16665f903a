"""What joins graysplit to frameworks and tools, one module for each; each is imported by name, behind its extra."""
