//! stub
/// stub
pub fn parse(_t: &str) {}
