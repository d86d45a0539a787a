"""`stalwart_objects` of `group_data/mailbox.py`: any object of the server's schema, in the server's own terms.

declared   the mapping as it is written            lines    where each value stands in the file
shaping    Python's forms → values of the schema   keys     by which fields an object is recognised
owned      what settings of this project manage    notes    what was created here, kept on the host
resolving  all of it together: desired objects, their live counterparts, deletions, refusals
export, importing, describing                      the way back: live objects, plans, the schema as text
"""
