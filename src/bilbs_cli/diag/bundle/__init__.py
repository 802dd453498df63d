"""The archive of a run: frames, the work folder they wait in, the seal, and safe reading."""
