"""Documents: the D-1 report, the cycle report, the package, copies and dossiers."""
