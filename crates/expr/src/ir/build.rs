//! Conditions that are made node by node, from another notation than ours.

use std::sync::Arc;

use super::{Node, NodeId, Object, Op, Program, Sort, VerifyError, verify};
use crate::builtin;

/// A condition in the making.
#[derive(Clone, Debug)]
pub struct ConditionBuilder {
    nodes: Vec<Node>,
    source: Arc<str>,
}

impl ConditionBuilder {
    /// A condition that is shown as `source`.
    pub fn new(source: impl Into<Arc<str>>) -> Self {
        Self { nodes: Vec::new(), source: source.into() }
    }

    /// Adds an operation, whose operands have been added before.
    pub fn add(&mut self, op: Op, sort: Sort) -> NodeId {
        let span = 0..u32::try_from(self.source.len()).unwrap_or(u32::MAX);
        self.nodes.push(Node { op, sort, span });
        NodeId(u32::try_from(self.nodes.len() - 1).unwrap_or(u32::MAX))
    }

    /// An operation that was added.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.index())
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The condition that holds when the truth value `result` does.
    ///
    /// # Errors
    /// The operations do not fit together, or are too many.
    pub fn finish(self, result: NodeId) -> Result<Program, VerifyError> {
        let program = Program {
            nodes: self.nodes,
            object: Object::Word(result),
            ty: builtin::boolean(),
            inputs: Vec::new(),
            changed_slots: 0,
            source: self.source,
        };
        verify(&program)?;
        Ok(program)
    }
}
