"""Recurrent nets from LSTM as of 1997 to CTC, reservoirs and history compression."""
