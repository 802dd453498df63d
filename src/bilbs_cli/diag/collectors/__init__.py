"""Every collector, in the order of the bundle. Adding one is a module here and a line in the tuple."""
