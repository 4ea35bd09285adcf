"""`cosy doctor`: whether everything is there that speaking needs, and what to do where not."""
