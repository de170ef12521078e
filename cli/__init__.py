"""The command line: reads options, environment and files, and shows what the library does."""
