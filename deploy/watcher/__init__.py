"""The watcher: a synthetic dossier every minute, the whole way, and its age as a metric."""
