//! What a filter may name. It is checked before everything else, in places
//! that have no frame yet.

use crate::ast::{Expr, ExprKind};
use crate::error::Error;
use crate::ir::Input;

/// Refuses anything that looks at the program itself.
pub(super) fn names_only_threads(expr: &Expr) -> Result<(), Error> {
    let allowed = match &expr.kind {
        ExprKind::Int(_)
        | ExprKind::Float(_)
        | ExprKind::Char(_)
        | ExprKind::Byte(_)
        | ExprKind::Str(_)
        | ExprKind::Bool(_)
        | ExprKind::Unary(..)
        | ExprKind::Binary(..)
        | ExprKind::Conditional(..) => true,
        ExprKind::Dollar(name) => Input::named(name).is_some_and(Input::names_a_thread),
        ExprKind::Call { name, .. } => name == "_streq",
        _ => false,
    };
    if !allowed {
        return Err(Error::new(expr.span.clone(), "a filter may not look at the program")
            .with_help(
                "it may only name $_tid, $_thread, $_thread_name, $_pid, $_process_name and \
                 $_machine; write the rest as a condition",
            ));
    }
    let mut result = Ok(());
    expr.kind.for_each_child(&mut |child| {
        if result.is_ok() {
            result = names_only_threads(child);
        }
    });
    result
}
