"""Text generation: models that write, one token after the other, and when each token came."""
