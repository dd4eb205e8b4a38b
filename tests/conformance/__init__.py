"""Results on real data, held against what is known of it."""
