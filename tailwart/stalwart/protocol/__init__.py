"""Stalwart's protocol: JMAP calls and answers, the transport into its container, kinds of objects, values."""
