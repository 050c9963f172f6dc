"""Diagrams and plots: graphs laid out and drawn as SVG and PNG, and how a search went."""
