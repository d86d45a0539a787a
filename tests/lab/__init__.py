"""Tests on the lab's hosts: what a user of the deploy would see."""
