"""The LSTM policy, REINFORCE, and its rewards."""
