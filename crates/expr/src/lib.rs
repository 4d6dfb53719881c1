//! Trapline's expression language: parse, check, interpret, format.
