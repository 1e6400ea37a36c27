"""The command line. Nothing else in the package knows jsonargparse, and nothing below imports this."""
