"""CosyVoice 2 (0.5B): a language model writes speech tokens, flow and vocoder make sound of them.

In the order of the data: `text`, `tokenizer`, `speech_lm` (on `lm` and `sampling`), `flow` (on
`encoder`, `estimator`, `cfm`), `wave` (on `source`, `hift`). `release` reads the official files,
`check` compares every stage with recorded arrays.
"""
