cordon_fuzz(xml cordon_base)
cordon_fuzz(jws cordon_base)
