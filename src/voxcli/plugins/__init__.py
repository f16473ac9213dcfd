"""Who offers which component: the hooks a plugin implements, the registry it fills, the manager that loads it."""
