"""The m-STPN network: in Brian2, in torch, and its training."""
