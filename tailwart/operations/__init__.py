"""Operations shared by the roles: files, Compose projects, systemd units, the container engine, API planes."""
