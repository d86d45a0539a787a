"""The tailnet policy plane: a merge that leaves foreign content alone, and a push that cannot lose an edit."""
