"""The evaluation of a model on labelled pictures: figures, sorted errors, charts, and a page that shows them."""
