//! What names mean where an expression is evaluated. The engine implements it
//! over debug information; tests over tables.

use std::sync::Arc;

use trapline_core::VirtAddr;
use trapline_core::location::{self, Place};
use trapline_core::types::{Language, ResolveType, StaticMember, Type, TypeRef};

use crate::ast::Path;
use crate::value::{OPTIMIZED_OUT, Value};
use crate::views::Views;

/// The names that are visible at one place of the program.
///
/// Every error is a sentence for the user. `Ok(None)` means that there is no
/// such name, which the checker words itself.
pub trait Scope: ResolveType {
    /// What the program is written in here, which decides what operators mean.
    fn language(&self) -> Language {
        Language::C
    }

    /// The variable, constant or function a path means.
    ///
    /// # Errors
    /// The debug information is corrupt, or the name means several things.
    fn variable(&self, path: &Path) -> Result<Option<Binding>, String>;

    /// Whether a name is one of a variable of the function at hand, which hides
    /// the members of its object.
    fn is_local(&self, name: &str) -> bool;

    /// What `this` points to where the function at hand is a C++ method, whose
    /// object's members hide what is outside the class.
    fn method_object(&self) -> Option<Arc<Type>>;

    /// The type with a name, spelled as C declares it without qualifiers and
    /// tags (`unsigned int`, `node`, `std::vector<int>`).
    ///
    /// # Errors
    /// The debug information is corrupt.
    fn type_named(&self, name: &str) -> Result<Option<Arc<Type>>, String>;

    /// The types with a name, those that are described beside `near` first:
    /// different types may have one name in different parts of a program.
    ///
    /// # Errors
    /// The debug information is corrupt.
    fn types_beside(&self, name: &str, _near: TypeRef) -> Result<Vec<Arc<Type>>, String> {
        Ok(self.type_named(name)?.into_iter().collect())
    }

    /// Computes the length of an array that only a frame knows.
    ///
    /// # Errors
    /// A sentence that says why it is not known here.
    fn length(&self, _array: TypeRef) -> Result<location::Program, String> {
        Err("its length is known in a frame only".to_owned())
    }

    /// Where the static member is that an entry declares; relocated.
    ///
    /// # Errors
    /// The debug information is corrupt.
    fn static_member(&self, _declared: TypeRef) -> Result<Place, String> {
        Ok(Place::Unavailable(OPTIMIZED_OUT.to_owned()))
    }

    /// The type of a static member: that of its definition, where the class does
    /// not say the length of an array.
    ///
    /// # Errors
    /// The debug information is corrupt.
    fn static_member_type(&self, member: &StaticMember) -> Result<Arc<Type>, String> {
        self.follow(&member.ty)
    }

    /// The value of the user's own `$name`.
    fn convenience(&self, name: &str) -> Option<Value>;

    /// Names close to one that was not found, best first.
    fn suggest(&self, name: &str) -> Vec<String>;

    /// How values of library types are seen.
    fn views(&self) -> &Views {
        Views::builtin()
    }
}

/// What a name is bound to.
#[derive(Clone, Debug)]
pub enum Binding {
    /// Something with a place.
    Variable {
        /// Its type.
        ty: Arc<Type>,
        /// Where it is.
        place: Place,
    },
    /// An enumerator or another named number.
    Constant {
        /// Its type.
        ty: Arc<Type>,
        /// Its value.
        value: i128,
    },
    /// A function.
    Function {
        /// Its type.
        ty: Arc<Type>,
        /// Its first instruction.
        address: VirtAddr,
        /// Its name.
        name: String,
        /// Whether it is one of an object, which it is given.
        takes_object: bool,
    },
    /// Data that a symbol table knows and no debug information: it has an
    /// address and no type, so it means something in `&x` and `(type)x` only.
    Untyped {
        /// Its first byte.
        address: VirtAddr,
        /// Its name.
        name: String,
    },
}
