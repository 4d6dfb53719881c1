//! A target that plays back a script: for tests of the engine.
