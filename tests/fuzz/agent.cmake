cordon_fuzz(signed cordon_agent)
