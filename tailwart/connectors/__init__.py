"""How hosts are reached: the API planes on this machine, the others over SSH."""
