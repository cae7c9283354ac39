cordon_fuzz(json cordon_base)
cordon_fuzz(config cordon_config)
