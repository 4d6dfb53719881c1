//! Texts: comparing them, reading them whole.

use std::sync::Arc;

use trapline_core::VirtAddr;
use trapline_core::memory::Unreadable;

use super::{EvalError, Fault, InputValue, Run};
use crate::ir::{Input, NodeId, Text};
use crate::limits::MAX_STRING;

/// A text whose words were computed.
enum Resolved {
    Literal(Arc<[u8]>),
    Name(Arc<str>),
    Terminated { start: VirtAddr, capacity: Option<u64> },
    Counted { start: VirtAddr, len: u64 },
}

impl Resolved {
    /// The bytes, when they are not in memory.
    fn known(&self) -> Option<&[u8]> {
        match self {
            Self::Literal(bytes) => Some(bytes),
            Self::Name(name) => Some(name.as_bytes()),
            Self::Terminated { .. } | Self::Counted { .. } => None,
        }
    }
}

impl Run<'_> {
    pub(super) fn text_equal(&mut self, id: NodeId, [a, b]: &[Text; 2]) -> Result<bool, EvalError> {
        let a = self.resolve_text(a)?;
        let b = self.resolve_text(b)?;
        let memory = &*self.machine;
        let equal = match (a.known(), b.known()) {
            (Some(a), Some(b)) => Ok(a == b),
            (Some(known), None) => same_as(known, &b, memory),
            (None, Some(known)) => same_as(known, &a, memory),
            (None, None) => read(&a, memory).and_then(|a| same_as(&a, &b, memory)),
        };
        equal.map_err(|error| self.fault(id, error))
    }

    /// The bytes of a text, at most [`MAX_STRING`].
    pub(super) fn text_bytes(&mut self, text: &Text) -> Result<Vec<u8>, EvalError> {
        let resolved = self.resolve_text(text)?;
        match resolved.known() {
            Some(bytes) => Ok(bytes.to_vec()),
            None => read(&resolved, &*self.machine).map_err(|error| self.fault_of_all(error)),
        }
    }

    fn resolve_text(&mut self, text: &Text) -> Result<Resolved, EvalError> {
        match text {
            Text::Literal(bytes) => Ok(Resolved::Literal(bytes.clone())),
            Text::Input(input) => self.input_text(*input),
            Text::Terminated { address, capacity } => {
                let start = VirtAddr::new(self.word(*address)?);
                Ok(Resolved::Terminated { start, capacity: *capacity })
            }
            Text::Counted { address, len } => {
                let start = VirtAddr::new(self.word(*address)?);
                Ok(Resolved::Counted { start, len: self.word(*len)? })
            }
        }
    }

    fn input_text(&mut self, input: Input) -> Result<Resolved, EvalError> {
        let why = match self.machine.input(input) {
            Ok(InputValue::Text(name)) => return Ok(Resolved::Name(name)),
            Ok(InputValue::Number(_)) => "it is a number here, not a text".to_owned(),
            Err(why) => why,
        };
        let mut error = self.fault_of_all(Fault::Unknown(why));
        error.text = format!("${}", input.name());
        Err(error)
    }
}

/// Whether a text in memory has these bytes and no more.
fn same_as(known: &[u8], text: &Resolved, memory: &dyn super::Machine) -> Result<bool, Unreadable> {
    match *text {
        Resolved::Counted { start, len } => {
            let len = len.min(MAX_STRING as u64);
            Ok(len == known.len() as u64 && starts_with(start, known, memory)?)
        }
        Resolved::Terminated { start, capacity } => {
            let room = capacity.unwrap_or(u64::MAX).min(MAX_STRING as u64);
            let len = known.len() as u64;
            if len > room || known.contains(&0) || !starts_with(start, known, memory)? {
                return Ok(false);
            }
            Ok(len == room || starts_with(start.wrapping_add(len), &[0], memory)?)
        }
        Resolved::Literal(_) | Resolved::Name(_) => Ok(text.known() == Some(known)),
    }
}

/// Whether memory starts with these bytes. What lies past the first difference
/// need not be readable.
fn starts_with(
    start: VirtAddr,
    known: &[u8],
    memory: &dyn super::Machine,
) -> Result<bool, Unreadable> {
    let mut here = start;
    for part in known.chunks(128) {
        let mut buffer = [0; 128];
        let wanted = &mut buffer[..part.len()];
        let got = memory.read_some(here, wanted);
        if wanted[..got] != part[..got] {
            return Ok(false);
        }
        if got < part.len() {
            return Err(Unreadable { addr: here.wrapping_add(got as u64) });
        }
        here = here.wrapping_add(got as u64);
    }
    Ok(true)
}

/// A text's bytes, at most [`MAX_STRING`].
fn read(text: &Resolved, memory: &dyn super::Machine) -> Result<Vec<u8>, Unreadable> {
    match *text {
        Resolved::Terminated { start, capacity } => {
            let limit = capacity.unwrap_or(u64::MAX).min(MAX_STRING as u64);
            memory.read_c_string(start, limit as usize)
        }
        Resolved::Counted { start, len } => {
            let mut bytes = vec![0; len.min(MAX_STRING as u64) as usize];
            memory.read_exact(start, &mut bytes)?;
            Ok(bytes)
        }
        Resolved::Literal(_) | Resolved::Name(_) => Ok(text.known().unwrap_or(&[]).to_vec()),
    }
}
