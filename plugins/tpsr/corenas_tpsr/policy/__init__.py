"""The policy of TPSR: REINFORCE (`reinforce`), its rewards (`reward`) and their options (`config`).

The LSTM controller is private: `reinforce.Reinforce` asks and tells for it.
"""
