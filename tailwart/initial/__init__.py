"""The first installation: a `.env` from questions, each answer checked at once against the real thing.

questions.pending(values)   what is still to be asked, in order; a file that is half filled in is taken up there
probes.…                    what the real thing says to an answer: SSH, the name servers, the APIs
"""
