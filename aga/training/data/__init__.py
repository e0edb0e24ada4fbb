"""Labelled frames: files, checks, splits, and what a training needs of them."""
