"""Studies: a question, what is measured to answer it, and how it goes on after it was ended."""
