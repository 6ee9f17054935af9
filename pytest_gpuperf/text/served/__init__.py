"""Servers of language models behind OpenAI's API: started or given by a URL, asked, and each piece's time taken."""
