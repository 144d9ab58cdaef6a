"""A report as a document: its words, its charts and its pages as marks, and the forms that marks are drawn in."""
