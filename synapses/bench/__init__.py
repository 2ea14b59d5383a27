"""One memristor under any voltage, and the measurements that devices get."""
