"""Scripts that are written without spaces between words."""

# One character of them, the sign that lengthens a katakana vowel included; a pattern for the package regex, and for the
# one in tokenizers.
SPACELESS = r"[\p{Han}\p{Hiragana}\p{Katakana}ーｰ\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
