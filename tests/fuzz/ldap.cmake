# What comes from a DC, or from a person, before anything of it is believed.
foreach(name sid_sd meta netlogon name)
    cordon_fuzz(${name} cordon_ad)
endforeach()
