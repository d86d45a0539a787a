"""Another image on the mailbox: pulled before the stop, proven by mail, taken back by itself when the proof fails.

upgrading.prepare   before anything is written: gate, pull, the files of now, a copy of the data
upgrading.guarded   around the swap: what does not come up is taken back, image and data
upgrading.conclude  after it: the proof, within a time limit, and the report; what fails it is taken back
"""
