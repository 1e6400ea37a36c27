"""The command line. Only this package knows jsonargparse, and nothing below imports it."""
