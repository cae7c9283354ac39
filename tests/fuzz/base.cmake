cordon_fuzz(xml cordon_base)
cordon_fuzz(jws cordon_base)
cordon_fuzz(http_retry cordon_base PkgConfig::CURL)
cordon_fuzz(winrm_auth cordon_base)
