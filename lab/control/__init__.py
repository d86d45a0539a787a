"""The fake APIs of the lab's control host: outside APIs with their own contracts, in front of real servers.

Each stands where a service of the internet cannot be reached and hands every effect to a real program: the policy API
to headscale, the Spaceship API to Knot, the Caddy download service to the lab's own Caddy build. They run on the
control host under Debian's python3 (``python3 -m lab.control policy|spaceship|download``) and inside test processes.

All share :mod:`lab.control.faults`: ``/lab/faults`` makes chosen endpoints misbehave, ``/lab/requests`` counts calls.
"""
