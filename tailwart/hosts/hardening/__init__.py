"""What protects a host that runs nothing but this deploy: packet filter, sshd, security updates. Pure.

`texts` has the files, `switch` the scripts that bring a change into force and take it back, `plan` compares a host with
what it should have.
"""
