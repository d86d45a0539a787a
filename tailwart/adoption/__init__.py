"""An installation made by hand becomes one of this deploy's: same node, same store, same certificates.

looking      one command a host that changes nothing, and its output in sections
containers   what the engine says of containers, mounts and networks
found        which of them are the mailbox, its sidecar, an edge; what makes an adoption impossible
describing   from what was found to the keys of `.env`; what could not be found out
server       the same for what the server's own settings say
transfers    which directory goes into which volume, and back
journal      how far a hand-over has come, on the host
handover     the mailbox host: the old project stops, its volumes are brought over, the mailbox comes up; and back
edges        an edge host: the old server stops, and back
"""
