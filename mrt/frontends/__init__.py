"""Networks of other frameworks to graphs and back."""
