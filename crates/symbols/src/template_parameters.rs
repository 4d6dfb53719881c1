//! What the parameters of templates and of generic functions stand for at a
//! place: names of the scope around it. How they make the name of an instance
//! is left to `types`.

use gimli::constants as dw;
use trapline_core::types::TypeLink;

use crate::Image;
use crate::near::Near;
use crate::types::die::Die;
use crate::types::scalar::constant;
use crate::types::type_link;
use crate::units::DieRef;

/// What a parameter stands for.
#[derive(Clone, PartialEq, Debug)]
pub enum TemplateParameter {
    /// A type.
    Type(TypeLink),
    /// A number.
    Number {
        /// Its type.
        ty: TypeLink,
        /// Its value.
        value: i128,
    },
}

/// Scopes around a place that are looked at.
const MAX_SCOPES: usize = 64;

impl Image {
    /// The parameter of a name of the innermost template around a place that has
    /// one.
    pub fn template_parameter(&self, name: &str, near: &Near) -> Option<TemplateParameter> {
        let mut next = Some(near.function());
        for _ in 0..MAX_SCOPES {
            let die = Die::open(self.units(), next?)?;
            let found = die.inherited(|die| self.parameter_of(die, name));
            if found.is_some() {
                return found;
            }
            next = self.scope_around(&die);
        }
        None
    }

    fn scope_around(&self, die: &Die<'_>) -> Option<DieRef> {
        let declared = die.declared_at();
        let scopes = self.values.scopes.of(self.units(), declared.unit);
        scopes
            .holder(declared)
            .or_else(|| self.values.scopes.function_around(self.units(), declared))
    }

    fn parameter_of(&self, die: &Die<'_>, name: &str) -> Option<TemplateParameter> {
        let named = |child: &Die<'_>| child.name().as_deref() == Some(name);
        let parameter = die.children().into_iter().find(|child| {
            let is_parameter = matches!(
                child.tag(),
                dw::DW_TAG_template_type_parameter | dw::DW_TAG_template_value_parameter
            );
            is_parameter && named(child)
        })?;
        let ty = type_link(self.module(), parameter.type_reference()?);
        if parameter.tag() == dw::DW_TAG_template_type_parameter {
            return Some(TemplateParameter::Type(ty));
        }
        let value = parameter.value(dw::DW_AT_const_value).and_then(constant)?;
        Some(TemplateParameter::Number { ty, value })
    }
}
