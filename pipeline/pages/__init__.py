"""What all HTML pages share: the style, the templates' environment, number formats and figures."""
