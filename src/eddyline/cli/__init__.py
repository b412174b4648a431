"""The command line: one file per command, each one call that a Python user can make too. Floor 9."""
