//! Objects that travel in parts: descriptions of registers, threads, libraries,
//! and what the system knows.

use std::fmt::Write;

use trapline_rsp::request::TransferObject;

use super::libraries::{self, escaped};
use super::registers::Dialect;
use super::server::{Refusal, Server, pid_of};
use crate::backend::system::{self, Row};

impl Server {
    /// The bytes of an object; `None` when there is no such object.
    pub(super) fn object(
        &mut self,
        object: &TransferObject,
        annex: &str,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        Ok(Some(match object {
            TransferObject::Features if annex == "target.xml" => {
                let thread = self.current_thread()?;
                let dialect = match self.lldb.thread_suffix {
                    true => Dialect::Lldb,
                    false => Dialect::Gdb,
                };
                self.register_file(thread)?.description(dialect).into_bytes()
            }
            TransferObject::Features => return Err(Refusal::new("there is no such description")),
            TransferObject::Auxv => {
                let pid = self.current_process()?;
                let auxv = self.session.process_info(pid)?.auxv;
                // The pair of zeros that ends it is not among those read.
                let words = auxv.into_iter().chain([(0, 0)]);
                words.flat_map(|(kind, value)| [kind, value]).flat_map(u64::to_le_bytes).collect()
            }
            TransferObject::ExecFile => {
                let pid = match annex {
                    "" => self.current_process()?,
                    number => pid_of(u64::from_str_radix(number, 16).unwrap_or(0))?,
                };
                self.session.executable(pid)?.into_os_string().into_encoded_bytes()
            }
            TransferObject::LibrariesSvr4 => {
                let pid = self.current_process()?;
                let auxv = self.session.process_info(pid)?.auxv;
                let list = libraries::list(&self.session, pid, &auxv, annex);
                list.ok_or_else(|| Refusal::new("the program has no DT_DEBUG"))?.into_bytes()
            }
            TransferObject::Siginfo => {
                let thread = self.current_thread()?;
                self.session.signal_details(thread)?
            }
            TransferObject::Threads => self.thread_list().into_bytes(),
            TransferObject::OsData => {
                let rows = system::table(annex);
                let rows = rows.ok_or_else(|| Refusal::new("there is no such table"))?;
                table(annex, &rows).into_bytes()
            }
            _ => return Ok(None),
        }))
    }

    fn thread_list(&mut self) -> String {
        let mut xml = String::from("<threads>\n");
        for thread in self.session.threads() {
            let mut id = Vec::new();
            self.id_of(thread).write(&mut id);
            let id = String::from_utf8_lossy(&id).into_owned();
            // Writing to a string does not fail.
            let _ = write!(xml, "<thread id=\"{id}\"");
            if let Some(core) = self.session.processor_of(thread) {
                let _ = write!(xml, " core=\"{core}\"");
            }
            let _ = writeln!(xml, " name=\"{}\"/>", escaped(&self.session.name_of(thread)));
        }
        xml + "</threads>\n"
    }
}

/// A table of the system (GDB manual, "Operating System Information").
fn table(name: &str, rows: &[Row]) -> String {
    let kind = if name.is_empty() { "types" } else { name };
    let mut xml = format!(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"osdata.dtd\">\n<osdata type=\"{kind}\">\n"
    );
    for row in rows {
        xml.push_str("<item>");
        for (column, value) in row {
            // Writing to a string does not fail.
            let _ = write!(xml, "<column name=\"{column}\">{}</column>", escaped(value));
        }
        xml.push_str("</item>\n");
    }
    xml + "</osdata>"
}
