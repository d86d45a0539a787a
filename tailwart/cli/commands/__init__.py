"""What the commands of `tailwart` do; imported when one is called, never for `--help`."""
