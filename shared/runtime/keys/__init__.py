"""Data keys of dossiers: where they are kept, how they are heard, published, judged and wrapped anew."""
