"""What becomes of transformers and their students on SST-2 (`make text`)."""
