"""Which entity is next, and who waits for what: the scheduling queue and its tiers."""
