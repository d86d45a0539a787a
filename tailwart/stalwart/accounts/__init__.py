"""Mail accounts by hand: what the `tailwart account` commands read and write."""
