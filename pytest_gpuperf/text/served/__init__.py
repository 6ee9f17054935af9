"""Servers of language models behind OpenAI's API: llama.cpp's, transformers', and any that runs already."""
