"""Plans, as operators start, stop and look at them."""
