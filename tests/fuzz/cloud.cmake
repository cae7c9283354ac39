cordon_fuzz(token cordon_cloud)
