"""The m-STPN network in torch: layer, agent, kernel, checkpoint."""
