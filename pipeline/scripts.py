"""Scripts that are written without spaces between words."""

# One character of them; for the package regex, and for Rust's and Oniguruma's patterns.
SPACELESS = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
