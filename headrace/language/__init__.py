"""Language models as files: configs, tokenizers, chat templates, and graphs made of other formats."""
