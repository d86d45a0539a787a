"""The recorded exchanges with Stalwart 0.16.7, replayed against the stand-in or, with STALWART_BINARY, any other binary."""
