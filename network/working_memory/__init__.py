"""A spiking working memory: items encoded by one volley, kept in F alone, recalled from a part."""
