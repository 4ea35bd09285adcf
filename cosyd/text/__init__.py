"""Text front end that engines share: sentences, languages, words for numbers and signs."""
