"""All network I/O: credentials, transports, reflectors and informers, and the write queue."""
