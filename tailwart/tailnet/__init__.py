"""The tailnet policy plane: a merge that keeps unmanaged content, and a push that cannot lose an edit."""
