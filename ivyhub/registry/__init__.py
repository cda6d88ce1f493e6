"""The registry: keeps models, finds and verifies them, and writes them out again."""
