"""How fast text becomes batches, here and in other libraries, measured in one run."""
