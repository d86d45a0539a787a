"""How Stalwart is asked: JMAP calls and answers, the transport into its container, values as the server writes them."""
