//! Types as the user wrote them to types of the debug information.

use std::ops::Range;
use std::sync::Arc;

use trapline_core::types::{PointerFlavour, Type, TypeKind, TypeLink};

use super::Checker;
use crate::ast::TypeName;
use crate::builtin;
use crate::error::Error;

impl Checker<'_> {
    /// The type with a name: the program's own first, but for the words that C
    /// fixes the meaning of.
    pub(super) fn find_type(
        &self,
        name: &str,
        span: &Range<usize>,
    ) -> Result<Option<Arc<Type>>, Error> {
        if name == "void" {
            return Ok(builtin::named(name));
        }
        if let Some(found) = self.type_in_view(name, span)? {
            return Ok(Some(found));
        }
        let own = self.scope.type_named(name).map_err(|why| Error::new(span.clone(), why))?;
        Ok(own.or_else(|| builtin::named(name)))
    }

    pub(super) fn type_named(
        &self,
        name: &TypeName,
        span: &Range<usize>,
    ) -> Result<Arc<Type>, Error> {
        let target = |inner: &TypeName| self.type_named(inner, span).map(TypeLink::Known);
        Ok(match name {
            TypeName::Named { name, .. } => {
                return self
                    .find_type(name, span)?
                    .ok_or_else(|| Error::new(span.clone(), format!("no type is named `{name}`")));
            }
            TypeName::Pointer(inner) => Arc::new(Type::pointer_to(target(inner)?)),
            TypeName::Reference(inner) => Arc::new(Type {
                name: String::new(),
                size: Some(8),
                kind: TypeKind::Pointer {
                    target: Some(target(inner)?),
                    flavour: PointerFlavour::Reference,
                },
            }),
            TypeName::Array(inner, count) => {
                let element = self.type_named(inner, span)?;
                let size = self.size(&element, span)?;
                Arc::new(Type::array_of(TypeLink::Known(element), size, *count))
            }
            TypeName::Function(result, parameters) => Arc::new(Type {
                name: String::new(),
                size: None,
                kind: TypeKind::Function {
                    result: Some(target(result)?),
                    parameters: parameters.iter().map(target).collect::<Result<_, _>>()?,
                },
            }),
        })
    }
}
