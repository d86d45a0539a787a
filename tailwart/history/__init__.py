"""What deploys have changed, when, by whom and from which revision; and the way back to one of them."""
