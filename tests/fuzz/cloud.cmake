cordon_fuzz(token cordon_cloud)
cordon_fuzz(sync cordon_cloud)
cordon_fuzz(okta cordon_cloud)
cordon_fuzz(hunting cordon_cloud)
