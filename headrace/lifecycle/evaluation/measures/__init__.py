"""Measures of answers beside their truth: each gives its values for any weights of the rows.

Weights make one formula serve all: ones give the value, counts of a resample a draw of it, and the same
counts of two versions a draw of their difference.
"""
