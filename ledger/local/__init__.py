"""This machine: durable files, locks, key files and parallel work."""
