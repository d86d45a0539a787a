"""Operations of our own, shared by the roles: files, Compose projects, the container engine."""
