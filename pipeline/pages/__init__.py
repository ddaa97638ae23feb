"""What all HTML pages share: the style, the templates, number formats and figures."""
