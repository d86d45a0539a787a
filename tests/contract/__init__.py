"""The recorded exchanges with Stalwart 0.16.7, replayed against the stand-in or the binary in STALWART_BINARY."""
