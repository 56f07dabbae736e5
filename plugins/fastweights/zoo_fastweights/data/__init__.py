"""Datamodules: associative retrieval, flip-flop, MQAR, texts and few-shot tasks."""
