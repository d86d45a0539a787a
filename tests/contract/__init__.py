"""The recorded exchanges with Stalwart, replayed against the stand-in or the binary in STALWART_BINARY."""
