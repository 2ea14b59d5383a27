"""The SrTiO3 memristor and the ST-Hebb synapse on it."""
