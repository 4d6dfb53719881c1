//! stub
use trapline_core::types::{ResolveType, Type};
/// stub
pub fn type_name(ty: &Type, _types: &dyn ResolveType) -> String {
    ty.name.clone()
}
