// Compiles nothing: the header precompiled with it is what counts.
