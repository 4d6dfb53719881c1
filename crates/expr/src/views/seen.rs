//! An object as its view has it: values of the view's expressions, elements of
//! containers. How they are written is left to `format`.

use std::ops::Range;
use std::sync::Arc;

use trapline_core::VirtAddr;
use trapline_core::ids::ModuleId;
use trapline_core::location::Frame;
use trapline_core::memory::{ReadMemory, Unreadable};
use trapline_core::types::{GenericArgument, Type, TypeKind};
use trapline_core::x64::Reg;

use super::{Container, Fitted, Walk};
use crate::ast::Ast;
use crate::check::{Asked, Purpose, check_asked};
use crate::interp::{Fault, InputValue, Machine, evaluate};
use crate::ir::Input;
use crate::scope::Scope;
use crate::value::{Bytes, Value, ValuePlace};

/// Where an object is put that is in no memory. No processor has such an
/// address, so nothing of the program is there.
const NOWHERE: u64 = 0x00de_b000_0000_0000;

/// Longest way from the root of a tree to a leaf. A balanced one of 2^63 nodes
/// is no higher.
const MAX_TREE_HEIGHT: usize = 128;

/// Most slots of a table that are looked at for the elements in it.
const MAX_SLOTS: u64 = 1 << 16;

/// Why something of an object cannot be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Unseen {
    /// The view is not for this type after all: a member is called otherwise.
    Unfit(String),
    /// The object is no sound one, or memory is not there.
    Fault(String),
    /// The compiler kept a part of the object nowhere.
    Missing,
}

/// An object with the view of its type.
pub(crate) struct Seen<'a> {
    scope: &'a dyn Scope,
    memory: Overlaid<'a>,
    ty: Arc<Type>,
    pub(crate) fitted: Fitted,
}

/// Memory in which an object has the bytes it had when it was read.
struct Overlaid<'a> {
    memory: &'a dyn ReadMemory,
    start: VirtAddr,
    bytes: &'a [u8],
    /// Which of the bytes are nowhere.
    missing: Vec<Range<usize>>,
}

impl Overlaid<'_> {
    /// Where an address is in the object, if so many bytes from there are.
    fn inside(&self, addr: VirtAddr, len: usize) -> Option<Range<usize>> {
        let start = usize::try_from(addr.get().wrapping_sub(self.start.get())).ok()?;
        let end = start.checked_add(len)?;
        (end <= self.bytes.len()).then_some(start..end)
    }

    fn is_missing(&self, inside: &Range<usize>) -> bool {
        self.missing.iter().any(|hole| hole.start < inside.end && inside.start < hole.end)
    }
}

/// An element of a container.
pub(crate) struct Element {
    /// Which one.
    pub(crate) number: u64,
    pub(crate) key: Option<Result<Value, Unseen>>,
    pub(crate) value: Result<Value, Unseen>,
}

/// Elements of a container, from the first on.
#[derive(Default)]
pub(crate) struct Elements {
    pub(crate) found: Vec<Element>,
    /// Whether there are more.
    pub(crate) more: bool,
    /// Why the rest cannot be reached.
    pub(crate) broken: Option<Unseen>,
}

/// `$n` and `$i`.
#[derive(Clone, Copy, Default)]
struct At<'a> {
    node: Option<&'a Value>,
    number: Option<u64>,
}

impl<'a> Seen<'a> {
    pub(crate) fn new(
        scope: &'a dyn Scope,
        memory: &'a dyn ReadMemory,
        (ty, bytes, at): (&Arc<Type>, &'a [u8], Option<VirtAddr>),
        missing: Vec<Range<usize>>,
        fitted: Fitted,
    ) -> Self {
        let start = at.unwrap_or(VirtAddr::new(NOWHERE));
        let memory = Overlaid { memory, start, bytes, missing };
        Self { scope, memory, ty: ty.clone(), fitted }
    }

    /// The value of one of the view's expressions.
    pub(crate) fn value(&self, ast: &Ast) -> Result<Value, Unseen> {
        self.value_at(ast, At::default())
    }

    fn value_at(&self, ast: &Ast, at: At<'_>) -> Result<Value, Unseen> {
        let node = at.node.map(|node| (node.ty.clone(), node.to_u64().unwrap_or(0)));
        let asked = Asked {
            ty: &self.ty,
            address: self.memory.start.get(),
            fitted: &self.fitted,
            node,
            number: at.number,
        };
        let program = check_asked(ast, self.scope, &asked, Purpose::Value)
            .map_err(|error| Unseen::Unfit(error.message))?;
        let mut onlooker = Onlooker { memory: &self.memory };
        evaluate(&program, &mut onlooker).map_err(|error| {
            // The view's own expression would tell the user nothing.
            match error.fault {
                Fault::Unreadable(error) => self.unreadable(error),
                Fault::Missing(why) => Unseen::Fault(why),
                _ => Unseen::Fault(error.to_string()),
            }
        })
    }

    fn unreadable(&self, error: Unreadable) -> Unseen {
        match self.memory.inside(error.addr, 1) {
            Some(_) => Unseen::Missing,
            None => Unseen::Fault(error.to_string()),
        }
    }

    /// Whether a condition of the view holds.
    pub(crate) fn holds(&self, ast: &Ast) -> Result<bool, Unseen> {
        self.holds_at(ast, At::default())
    }

    fn holds_at(&self, ast: &Ast, at: At<'_>) -> Result<bool, Unseen> {
        let value = self.value_at(ast, at)?;
        Ok(value.bytes.as_ref().iter().any(|&byte| byte != 0))
    }

    /// A number that the view computes, sign-extended.
    pub(crate) fn number(&self, ast: &Ast) -> Result<i64, Unseen> {
        self.number_at(ast, At::default())
    }

    fn number_at(&self, ast: &Ast, at: At<'_>) -> Result<i64, Unseen> {
        use trapline_core::types::BaseKind;
        let value = self.value_at(ast, at)?;
        let stripped = self.scope.strip(&value.ty).map_err(Unseen::Unfit)?;
        let signed = matches!(
            stripped.kind,
            TypeKind::Base(BaseKind::Signed | BaseKind::SignedChar)
                | TypeKind::Enum { signed: true, .. }
        );
        let word = value.to_u64();
        let word = word.ok_or_else(|| Unseen::Unfit(format!("`{}` is no number", ast.source)))?;
        let unused = 64 - 8 * u32::try_from(value.bytes.as_ref().len().clamp(1, 8)).unwrap_or(8);
        Ok(if signed { (word << unused).cast_signed() >> unused } else { word.cast_signed() })
    }

    /// Bytes of memory, those of the object as they were.
    pub(crate) fn memory(&self) -> &dyn ReadMemory {
        &self.memory
    }

    /// The object at an address, of a type.
    pub(crate) fn object(&self, ty: &Arc<Type>, address: VirtAddr) -> Result<Value, Unseen> {
        let size = self.scope.strip(ty).map_err(Unseen::Unfit)?.size.unwrap_or(0);
        if size > crate::limits::MAX_VALUE {
            return Err(Unseen::Fault(format!("{size} bytes are too many to read")));
        }
        let mut bytes = Bytes::zeroed(usize::try_from(size).unwrap_or(0));
        let read = self.memory.read_exact(address, bytes.as_mut());
        read.map_err(|error| self.unreadable(error))?;
        let place = Some(ValuePlace::Memory { address, bits: None });
        let (missing, synthetic) = (Vec::new(), Vec::new());
        Ok(Value { ty: ty.clone(), bytes, missing, synthetic, place })
    }

    /// What the type's template argument of a number is.
    pub(crate) fn argument(&self, index: usize) -> Option<Arc<Type>> {
        let TypeKind::Record(record) = &self.ty.kind else { return None };
        match record.arguments.get(index)? {
            GenericArgument::Type(Some(link)) => self.scope.follow(link).ok(),
            _ => None,
        }
    }

    /// At most `max` elements from the first on.
    pub(crate) fn elements(&self, container: &Container, max: usize) -> Result<Elements, Unseen> {
        let key = container.key.as_ref();
        let max = max as u64;
        let mut elements = Elements::default();
        match &container.walk {
            Walk::Array { first, count } => self.array(first, count, max, &mut elements)?,
            Walk::Indexed { count, value, when } => {
                let count = self.count(count)?;
                self.indexed(count, (value, when.as_ref(), key), max, &mut elements);
            }
            Walk::List { first, next, end, count, value } => {
                let count = count.as_ref().map(|count| self.count(count)).transpose()?;
                let end = end.as_ref().map(|end| self.value(end)).transpose()?;
                let end = end.and_then(|end| end.to_u64()).unwrap_or(0);
                let (first, limit) = (self.value(first)?, count.unwrap_or(u64::MAX));
                let walked = self.list(first, next, end, limit.min(max), &mut |number, at| {
                    elements.found.push(self.element(number, value, key, at));
                });
                let (left, broken) = walked.map_or_else(|why| (false, Some(why)), |it| (it, None));
                elements.more = left && limit > max;
                elements.broken = broken;
            }
            Walk::Tree { root, left, right, count, value } => {
                let count = self.count(count)?;
                elements.more = count > max;
                let root = self.value(root)?;
                let limit = count.min(max);
                let walked = self.tree(root, [left, right], limit, &mut |number, at| {
                    elements.found.push(self.element(number, value, key, at));
                });
                elements.broken = walked.err();
            }
            Walk::Multiway { root, height, length, child, count, value } => {
                let count = self.count(count)?;
                elements.more = count > max;
                let height = self.number(height)?;
                let limit = count.min(max);
                if limit > 0 {
                    let root = self.value(root)?;
                    let walked =
                        self.multiway(&root, height, (length, child), limit, &mut |number, at| {
                            elements.found.push(self.element(number, value, key, at));
                        });
                    elements.broken = walked.err();
                }
            }
        }
        Ok(elements)
    }

    /// How many elements there are.
    fn count(&self, ast: &Ast) -> Result<u64, Unseen> {
        let count = self.number(ast)?;
        u64::try_from(count).map_err(|_| Unseen::Fault(format!("{count} elements")))
    }

    fn element(&self, number: u64, value: &Ast, key: Option<&Ast>, at: At<'_>) -> Element {
        let key = key.map(|key| self.value_at(key, at));
        Element { number, key, value: self.value_at(value, at) }
    }

    fn array(
        &self,
        first: &Ast,
        count: &Ast,
        max: u64,
        elements: &mut Elements,
    ) -> Result<(), Unseen> {
        let count = self.count(count)?;
        elements.more = count > max;
        if count == 0 {
            return Ok(());
        }
        let pointer = self.value(first)?;
        let unfit = || Unseen::Unfit(format!("`{}` is no pointer", first.source));
        let stripped = self.scope.strip(&pointer.ty).map_err(Unseen::Unfit)?;
        let TypeKind::Pointer { target: Some(target), .. } = &stripped.kind else {
            return Err(unfit());
        };
        let ty = self.scope.follow(target).map_err(Unseen::Unfit)?;
        let size = self.scope.strip(&ty).map_err(Unseen::Unfit)?.size.unwrap_or(0);
        let start = VirtAddr::new(pointer.to_u64().ok_or_else(unfit)?);
        for number in 0..count.min(max) {
            let address = start.wrapping_add(number.wrapping_mul(size));
            match self.object(&ty, address) {
                Ok(value) => elements.found.push(Element { number, key: None, value: Ok(value) }),
                Err(why) => {
                    elements.broken = Some(why);
                    break;
                }
            }
        }
        Ok(())
    }

    fn indexed(
        &self,
        count: u64,
        (value, when, key): (&Ast, Option<&Ast>, Option<&Ast>),
        max: u64,
        elements: &mut Elements,
    ) {
        for number in 0..count {
            let at = At { node: None, number: Some(number) };
            match when.map(|when| self.holds_at(when, at)) {
                None | Some(Ok(true)) => {}
                Some(Ok(false)) if number < MAX_SLOTS => continue,
                Some(Ok(false)) => {
                    elements.more = true;
                    return;
                }
                Some(Err(why)) => {
                    elements.broken = Some(why);
                    return;
                }
            }
            if elements.found.len() as u64 >= max {
                elements.more = true;
                return;
            }
            elements.found.push(self.element(number, value, key, at));
        }
    }

    /// Visits the nodes of a list, and says whether some are left at the limit.
    fn list(
        &self,
        first: Value,
        next: &Ast,
        end: u64,
        limit: u64,
        visit: &mut dyn FnMut(u64, At<'_>),
    ) -> Result<bool, Unseen> {
        let mut step = first;
        for number in 0..limit {
            if is_end(&step, end) {
                return Ok(false);
            }
            let at = At { node: Some(&step), number: Some(number) };
            visit(number, at);
            // Nodes are of one type, links may be of a base of it.
            let link = self.value_at(next, at)?;
            step = Value { ty: step.ty.clone(), ..link };
        }
        Ok(!is_end(&step, end))
    }

    /// Visits the nodes of a binary tree in order.
    fn tree(
        &self,
        root: Value,
        [left, right]: [&Ast; 2],
        limit: u64,
        visit: &mut dyn FnMut(u64, At<'_>),
    ) -> Result<(), Unseen> {
        let ty = root.ty.clone();
        let mut path: Vec<Value> = Vec::new();
        let mut step = root;
        let mut number = 0;
        while number < limit {
            while !is_end(&step, 0) {
                if path.len() >= MAX_TREE_HEIGHT {
                    return Err(Unseen::Fault("a tree that is too high".to_owned()));
                }
                let next = self.value_at(left, At { node: Some(&step), number: None })?;
                path.push(std::mem::replace(&mut step, Value { ty: ty.clone(), ..next }));
            }
            let Some(node) = path.pop() else {
                let missing = limit - number;
                return Err(Unseen::Fault(format!("{missing} elements are not in the tree")));
            };
            visit(number, At { node: Some(&node), number: Some(number) });
            number += 1;
            let next = self.value_at(right, At { node: Some(&node), number: None })?;
            step = Value { ty: ty.clone(), ..next };
        }
        Ok(())
    }

    /// Visits the elements of a B-tree in order.
    fn multiway(
        &self,
        root: &Value,
        height: i64,
        (length, child): (&Ast, &Ast),
        limit: u64,
        visit: &mut dyn FnMut(u64, At<'_>),
    ) -> Result<(), Unseen> {
        let too_high = || Unseen::Fault(format!("a tree of height {height}"));
        let height = usize::try_from(height).map_err(|_| too_high())?;
        if height > MAX_TREE_HEIGHT {
            return Err(too_high());
        }
        let child_of = |node: &Value, index: u64| {
            let found = self.value_at(child, At { node: Some(node), number: Some(index) })?;
            Ok(Value { ty: node.ty.clone(), ..found })
        };
        // Each node on the way down with the element that is next in it.
        let mut path: Vec<(Value, u64)> = Vec::new();
        let mut step = Some(root.clone());
        let mut number = 0;
        while number < limit {
            while let Some(node) = step.take() {
                path.push((node, 0));
                if path.len() <= height {
                    let (node, _) = &path[path.len() - 1];
                    step = Some(child_of(node, 0)?);
                }
            }
            let Some((node, next)) = path.last_mut() else {
                let missing = limit - number;
                return Err(Unseen::Fault(format!("{missing} elements are not in the tree")));
            };
            let index = *next;
            let in_node = self.number_at(length, At { node: Some(node), number: None })?;
            if !u64::try_from(in_node).is_ok_and(|length| index < length) {
                path.pop();
                continue;
            }
            *next += 1;
            visit(number, At { node: Some(node), number: Some(index) });
            number += 1;
            let node = node.clone();
            if path.len() <= height {
                step = Some(child_of(&node, index + 1)?);
            }
        }
        Ok(())
    }
}

/// Whether a link leads nowhere, or to the end of a list.
fn is_end(link: &Value, end: u64) -> bool {
    matches!(link.to_u64(), None | Some(0)) || link.to_u64() == Some(end)
}

impl ReadMemory for Overlaid<'_> {
    fn read_some(&self, addr: VirtAddr, buf: &mut [u8]) -> usize {
        match self.inside(addr, buf.len()) {
            Some(inside) if self.is_missing(&inside) => 0,
            Some(inside) => {
                buf.copy_from_slice(&self.bytes[inside]);
                buf.len()
            }
            None => self.memory.read_some(addr, buf),
        }
    }
}

/// A machine of memory alone: expressions of views need no more.
struct Onlooker<'a> {
    memory: &'a Overlaid<'a>,
}

fn only_memory() -> String {
    "a view looks at memory alone".to_owned()
}

impl ReadMemory for Onlooker<'_> {
    fn read_some(&self, addr: VirtAddr, buf: &mut [u8]) -> usize {
        self.memory.read_some(addr, buf)
    }
}

impl Frame for Onlooker<'_> {
    fn register(&self, _: Reg) -> Result<u64, String> {
        Err(only_memory())
    }

    fn tls_address(&self, _: ModuleId, _: u64) -> Result<VirtAddr, String> {
        Err(only_memory())
    }
}

impl Machine for Onlooker<'_> {
    fn vector_register(&self, _: u8) -> Result<[u8; 16], String> {
        Err(only_memory())
    }

    fn input(&mut self, _: Input) -> Result<InputValue, String> {
        Err(only_memory())
    }

    fn changed(&mut self, _: usize, _: &[u8]) -> bool {
        false
    }
}
