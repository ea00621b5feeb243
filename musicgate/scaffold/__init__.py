"""Drafts of new plugin distributions: checks a name, and renders the templates beside this file; it loads no plugin."""
