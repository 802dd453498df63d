"""What tools/dist.py makes, one module for each kind of artifact."""
