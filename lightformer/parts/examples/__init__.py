"""Ways to cut a text into samples."""
