"""An answer as a run of the server's own: it outlives the connection that asked for it."""
