"""Servers of language models, by the protocol of OpenAI: what is asked, and when each piece of the answer came."""
