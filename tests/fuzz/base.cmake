cordon_fuzz(xml cordon_base)
