//! Requests about the registers and the memory that a thread sees.

use trapline_core::VirtAddr;
use trapline_core::target::Protection;
use trapline_engine::client::ThreadKey;
use trapline_rsp::request::{MemoryRequest, RegisterRequest};
use trapline_rsp::{ThreadId, frame, hex};

use super::link::MAX_PACKET;
use super::registers::{RegisterFile, State};
use super::server::{Answer, Answered, Refusal, Server};

/// The most memory that is looked at for one search or checksum at a time.
const PIECE: usize = 64 * 1024;

impl Server {
    pub(super) fn answer_registers(&mut self, request: RegisterRequest) -> Answered {
        match request {
            RegisterRequest::ReadAll { thread } => {
                let thread = self.thread_or_current(thread)?;
                let state = self.state(thread, true)?;
                Ok(self.register_file(thread)?.all(&state).into())
            }
            RegisterRequest::WriteAll { values, thread } => {
                let thread = self.thread_or_current(thread)?;
                self.change_state(thread, |file, state| file.set_all(&values, state))
            }
            RegisterRequest::Read { number, thread } => {
                let thread = self.thread_or_current(thread)?;
                self.register_file(thread)?;
                let value = self.register(thread, number)?;
                Ok(hex::encode(&value).into())
            }
            RegisterRequest::Write { number, value, thread } => {
                let thread = self.thread_or_current(thread)?;
                self.change_state(thread, |file, state| file.set(number, &value, state))
            }
            RegisterRequest::Save { thread } => {
                let thread = self.thread_or_current(thread)?;
                let state = self.state(thread, true)?;
                let id = self.saved.keys().next_back().map_or(1, |last| last + 1);
                self.saved.insert(id, state);
                Ok(id.to_string().into())
            }
            RegisterRequest::Restore { id, thread } => {
                let thread = self.thread_or_current(thread)?;
                let state = self.saved.remove(&id);
                let state = state.ok_or_else(|| Refusal::new("no registers were saved so"))?;
                self.put_state(thread, &state)?;
                Ok(Answer::Done)
            }
            RegisterRequest::Sync { .. } => Ok(Answer::Done),
        }
    }

    /// The thread that a request names; else the current one.
    pub(super) fn thread_or_current(
        &mut self,
        named: Option<ThreadId>,
    ) -> Result<ThreadKey, Refusal> {
        match named {
            Some(id) => self.find_thread(id),
            None => self.current_thread(),
        }
    }

    /// The registers that the processor has, which the first thread tells.
    pub(super) fn register_file(&mut self, thread: ThreadKey) -> Result<&RegisterFile, Refusal> {
        if self.registers.is_none() {
            let state = self.session.extended_state(thread)?;
            self.registers = Some(RegisterFile::new(state.layout()));
        }
        self.registers.as_ref().ok_or_else(|| Refusal::new("the registers are not known"))
    }

    pub(super) fn state(&mut self, thread: ThreadKey, extended: bool) -> Result<State, Refusal> {
        let integer = self.session.registers(thread)?;
        let extended = match extended {
            true => Some(self.session.extended_state(thread)?),
            false => None,
        };
        Ok(State { integer, extended })
    }

    /// The value of one register.
    pub(super) fn register(&mut self, thread: ThreadKey, number: u32) -> Result<Vec<u8>, Refusal> {
        let extended = self.register_file(thread)?.is_extended(number);
        let state = self.state(thread, extended)?;
        let value = self.register_file(thread)?.get(number, &state);
        value.ok_or_else(|| Refusal::new(format!("there is no register {number}")))
    }

    fn change_state(
        &mut self,
        thread: ThreadKey,
        change: impl FnOnce(&RegisterFile, &mut State) -> bool,
    ) -> Answered {
        let mut state = self.state(thread, true)?;
        let before = state.extended.clone();
        if !change(self.register_file(thread)?, &mut state) {
            return Err(Refusal::new("there is no such register, or it has another size"));
        }
        let extended = state.extended.take().filter(|now| Some(now) != before.as_ref());
        self.put_state(thread, &State { extended, ..state })?;
        Ok(Answer::Done)
    }

    fn put_state(&mut self, thread: ThreadKey, state: &State) -> Result<(), Refusal> {
        self.session.set_registers(thread, &state.integer)?;
        if let Some(extended) = &state.extended {
            self.session.set_extended_state(thread, extended)?;
        }
        Ok(())
    }

    // tidy: flat match
    pub(super) fn answer_memory(&mut self, request: MemoryRequest) -> Answered {
        match request {
            MemoryRequest::Read { address, length } => {
                let bytes = self.read_memory(address, length, MAX_PACKET / 2 - 4)?;
                Ok(hex::encode(&bytes).into())
            }
            // lldb asks with a length of zero whether the packet is known.
            MemoryRequest::ReadBinary { length: 0, .. } => Ok(Answer::Done),
            MemoryRequest::ReadBinary { address, length } => {
                let bytes = self.read_memory(address, length, MAX_PACKET / 2 - 4)?;
                let mut escaped = Vec::with_capacity(bytes.len() + 16);
                frame::escape_into(&bytes, &mut escaped);
                Ok(Answer::Payload(escaped))
            }
            MemoryRequest::Write { address, data }
            | MemoryRequest::WriteBinary { address, data } => {
                let pid = self.current_process()?;
                if !data.is_empty() {
                    self.session.write(pid, VirtAddr::new(address), &data)?;
                }
                Ok(Answer::Done)
            }
            MemoryRequest::Search { address, length, pattern } => {
                self.search_memory(address, length, &pattern)
            }
            MemoryRequest::Crc { address, length } => self.checksum(address, length),
            MemoryRequest::Region { address } => self.region(address),
            MemoryRequest::Allocate { size, permissions } => {
                let pid = self.current_process()?;
                let start = self.session.allocate(pid, size, protection(&permissions))?;
                Ok(format!("{:x}", start.get()).into())
            }
            MemoryRequest::Deallocate { address } => {
                let pid = self.current_process()?;
                self.session.release(pid, VirtAddr::new(address))?;
                Ok(Answer::Done)
            }
        }
    }

    /// The bytes that can be read of those asked for, at most `most`.
    fn read_memory(&mut self, address: u64, length: u64, most: usize) -> Result<Vec<u8>, Refusal> {
        let pid = self.current_process()?;
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(most).min(most)];
        let read = self.session.read(pid, VirtAddr::new(address), &mut bytes, false);
        if read == 0 && !bytes.is_empty() {
            return Err(Refusal::new(format!("cannot access memory at {address:#x}")));
        }
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Memory piece by piece, each beginning `overlap` bytes before the end of
    /// the one before. Stops when `look` says so.
    fn each_piece(
        &mut self,
        address: u64,
        length: u64,
        overlap: usize,
        mut look: impl FnMut(u64, &[u8]) -> bool,
    ) -> Result<(), Refusal> {
        let pid = self.current_process()?;
        let mut piece = vec![0; PIECE + overlap];
        let mut done = 0u64;
        while done < length {
            let wanted = usize::try_from(length - done).unwrap_or(usize::MAX).min(piece.len());
            let at = VirtAddr::new(address.wrapping_add(done));
            let read = self.session.read(pid, at, &mut piece[..wanted], false);
            if read < wanted {
                let missing = at.wrapping_add(read as u64);
                return Err(Refusal::new(format!("cannot access memory at {missing}")));
            }
            if look(at.get(), &piece[..read]) {
                return Ok(());
            }
            done += wanted.saturating_sub(overlap).max(1) as u64;
            if wanted < piece.len() {
                break;
            }
        }
        Ok(())
    }

    fn search_memory(&mut self, address: u64, length: u64, pattern: &[u8]) -> Answered {
        if pattern.is_empty() {
            return Err(Refusal::new("nothing to search for"));
        }
        let mut found = None;
        self.each_piece(address, length, pattern.len() - 1, |at, bytes| {
            let mut places = bytes.windows(pattern.len());
            found = places.position(|window| window == pattern).map(|index| at + index as u64);
            found.is_some()
        })?;
        Ok(found.map_or("0".to_owned(), |at| format!("1,{at:x}")).into())
    }

    fn checksum(&mut self, address: u64, length: u64) -> Answered {
        let mut crc = !0;
        self.each_piece(address, length, 0, |_, bytes| {
            crc = bytes.iter().fold(crc, |crc, byte| crc_step(crc, *byte));
            false
        })?;
        Ok(format!("C{crc:x}").into())
    }

    pub(super) fn write_signal_details(&mut self, offset: u64, data: &[u8]) -> Answered {
        let thread = self.current_thread()?;
        let mut details = self.session.signal_details(thread)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(data.len());
        let part = details.get_mut(start..end);
        part.ok_or_else(|| Refusal::new("beyond the end"))?.copy_from_slice(data);
        self.session.set_signal_details(thread, &details)?;
        Ok(format!("{:x}", data.len()).into())
    }
}

/// One byte of the checksum of `qCRC`: the polynomial of Ethernet, the highest
/// bit first, nothing turned at the end (GDB manual, General Query Packets).
fn crc_step(crc: u32, byte: u8) -> u32 {
    const POLYNOMIAL: u32 = 0x04c1_1db7;
    (0..8).fold(crc ^ u32::from(byte) << 24, |crc, _| match crc & 0x8000_0000 {
        0 => crc << 1,
        _ => crc << 1 ^ POLYNOMIAL,
    })
}

/// What may be done with memory that a client makes: at least what it asks for.
fn protection(permissions: &str) -> Protection {
    match (permissions.contains('w'), permissions.contains('x')) {
        (true, true) => Protection::All,
        (false, true) => Protection::Code,
        (_, false) => Protection::Data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_gdb() {
        // CRC-32/MPEG-2 of the usual test string.
        let crc = b"123456789".iter().fold(!0, |crc, byte| crc_step(crc, *byte));
        assert_eq!(crc, 0x0376_e6e7);
    }
}
