"""Strategies that train many candidates a little and few in full, around any sampler.

They are built by name. `ladder` says which fidelities there are and what a search of them costs,
`agreement` how the scores at one fidelity rank candidates beside those at the next.
"""
