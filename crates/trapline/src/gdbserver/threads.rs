//! Requests about threads: chosen, listed, described.

use trapline_core::{Tid, VirtAddr};
use trapline_engine::client::ThreadKey;
use trapline_rsp::request::{Purpose, ThreadRequest};
use trapline_rsp::{ThreadId, Which, hex};

use super::server::{Answer, Answered, Refusal, Server};

impl Server {
    pub(super) fn answer_threads(&mut self, request: ThreadRequest) -> Answered {
        match request {
            ThreadRequest::Select { purpose, thread } => self.select(purpose, thread),
            ThreadRequest::IsAlive { thread } => {
                self.find_thread(thread)?;
                Ok(Answer::Done)
            }
            ThreadRequest::Current if self.disabled.current_thread => Ok(Answer::Unsupported),
            ThreadRequest::ListFirst | ThreadRequest::ListNext if self.disabled.thread_lists => {
                Ok(Answer::Unsupported)
            }
            ThreadRequest::Current => {
                let thread = self.current_thread()?;
                Ok(Answer::Payload(self.named("QC", thread)))
            }
            ThreadRequest::ListFirst => {
                self.unlisted = self.session.threads();
                Ok(self.list_threads())
            }
            ThreadRequest::ListNext => Ok(self.list_threads()),
            ThreadRequest::Describe { thread } => {
                let thread = self.find_thread(thread)?;
                let name = self.session.name_of(thread);
                Ok(hex::encode(name.as_bytes()).into())
            }
            ThreadRequest::TlsAddress { thread, offset, module } => {
                let thread = self.find_thread(thread)?;
                if let Some(why) = &self.no_thread_locals {
                    return Err(Refusal::new(why));
                }
                let module = VirtAddr::new(module);
                let address = self.session.thread_local(thread, module, offset)?;
                Ok(format!("{:x}", address.get()).into())
            }
            ThreadRequest::TibAddress { .. } => Ok(Answer::Unsupported),
            ThreadRequest::StopReason { thread } => {
                let thread = self.find_thread(thread)?;
                Ok(self.stop_of(thread))
            }
            ThreadRequest::StopReasons => self.all_stop_reasons(),
            ThreadRequest::Extended { .. } => Ok(Answer::Unsupported),
        }
    }

    /// The thread that an id names: any of those that match.
    pub(super) fn find_thread(&mut self, id: ThreadId) -> Result<ThreadKey, Refusal> {
        let threads = self.session.threads();
        let current =
            self.current.filter(|thread| threads.contains(thread) && matches(id, *thread));
        let found = current.or_else(|| threads.into_iter().find(|thread| matches(id, *thread)));
        found.ok_or_else(|| Refusal::new("there is no such thread"))
    }

    fn select(&mut self, purpose: Purpose, id: ThreadId) -> Answered {
        let anyone = id.thread != Which::All && matches!(id.thread, Which::Any);
        match purpose {
            Purpose::Run => {
                self.to_run = match id.thread {
                    Which::One(_) => Some(self.find_thread(id)?),
                    Which::All | Which::Any => None,
                };
            }
            // Before there is a program, any thread is fine.
            Purpose::Access if anyone && self.session.threads().is_empty() => {}
            Purpose::Access => self.current = Some(self.find_thread(id)?),
        }
        Ok(Answer::Done)
    }

    /// So many of the threads not listed yet as one packet holds.
    fn list_threads(&mut self) -> Answer {
        const AT_ONCE: usize = 1000;
        if self.unlisted.is_empty() {
            return Answer::Payload(b"l".to_vec());
        }
        let rest = self.unlisted.split_off(AT_ONCE.min(self.unlisted.len()));
        let listed = std::mem::replace(&mut self.unlisted, rest);
        let ids: Vec<Vec<u8>> = listed.into_iter().map(|thread| self.named("", thread)).collect();
        let mut payload = b"m".to_vec();
        payload.extend(ids.join(&b','));
        Answer::Payload(payload)
    }

    /// A thread's id as this client writes it.
    pub(super) fn id_of(&self, ThreadKey { pid, tid }: ThreadKey) -> ThreadId {
        let (process, thread) = (number(pid.get()), number(tid.get()));
        match self.client.multiprocess {
            true => ThreadId::new(process, thread),
            false => ThreadId::of_thread(thread),
        }
    }

    fn named(&self, prefix: &str, thread: ThreadKey) -> Vec<u8> {
        let mut payload = prefix.as_bytes().to_vec();
        self.id_of(thread).write(&mut payload);
        payload
    }
}

/// A number of the system's on the wire.
pub(super) fn number(id: i32) -> u64 {
    u64::try_from(id).unwrap_or_default()
}

/// Whether an id names a thread, perhaps among others.
pub(super) fn matches(id: ThreadId, ThreadKey { pid, tid }: ThreadKey) -> bool {
    let fits = |which: Which, own: i32| match which {
        Which::All | Which::Any => true,
        Which::One(wanted) => wanted == number(own),
    };
    let process = id.process.is_none_or(|process| fits(process, pid.get()));
    process && fits(id.thread, Tid::get(tid))
}
