"""The `.env`: one typed object for everything that one installation can set."""

from tailwart.environment.load import Loaded, load, selected_path
from tailwart.environment.model import Environment
from tailwart.environment.problems import EnvironmentProblems, Problem
from tailwart.environment.sections.hosts import Edge
from tailwart.environment.sections.mail import Account
from tailwart.fields import SshTarget

__all__ = [
    "Account",
    "Edge",
    "Environment",
    "EnvironmentProblems",
    "Loaded",
    "Problem",
    "SshTarget",
    "load",
    "selected_path",
]
